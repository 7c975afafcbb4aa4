//! Compares a component's imports and exports with the world, type by type.

use super::ModuleRefusal;
use crate::world;
use wasmparser::component_types::{
    ComponentDefinedType, ComponentEntityType, ComponentFuncTypeId, ComponentValType,
};
use wasmparser::types::TypesRef;
use wasmparser::PrimitiveValType as Primitive;

/// The value types of the world.
#[derive(Clone, Copy, PartialEq)]
enum Value {
    U32,
    S64,
    Bytes,
}

struct Signature {
    params: &'static [(&'static str, Value)],
    result: Option<Value>,
}

const READ: Signature = Signature {
    params: &[("offset", Value::U32), ("len", Value::U32)],
    result: Some(Value::Bytes),
};
const INIT: Signature = Signature {
    params: &[("rules", Value::Bytes)],
    result: None,
};
const PROCESS: Signature = Signature {
    params: &[
        ("len", Value::U32),
        ("prefix", Value::U32),
        ("strings", Value::U32),
        ("keys", Value::U32),
        ("sets", Value::U32),
        ("points", Value::U32),
        ("min-ts", Value::S64),
        ("max-ts", Value::S64),
    ],
    result: Some(Value::Bytes),
};

/// Names that are not of the world were refused before; here each that is must have its type.
pub fn check(types: TypesRef<'_>) -> Result<(), ModuleRefusal> {
    if let Some(item) = types.component_item_for_import(world::PAYLOAD) {
        payload(types, &item.ty).map_err(ModuleRefusal::Import)?;
    }
    for (name, signature) in [(world::INIT, &INIT), (world::PROCESS, &PROCESS)] {
        let Some(item) = types.component_item_for_export(name) else {
            return Err(ModuleRefusal::Export(format!("{name:?} is missing")));
        };
        function(types, name, &item.ty, signature).map_err(ModuleRefusal::Export)?;
    }
    Ok(())
}

fn payload(types: TypesRef<'_>, ty: &ComponentEntityType) -> Result<(), String> {
    let ComponentEntityType::Instance(id) = ty else {
        return Err(format!("{:?} is not an instance", world::PAYLOAD));
    };
    let exports = &types[*id].exports;
    if let Some(name) = exports.keys().find(|name| *name != world::READ) {
        return Err(format!("{name:?} is not of {:?}", world::PAYLOAD));
    }
    match exports.get(world::READ) {
        Some(item) => function(types, world::READ, &item.ty, &READ),
        None => Ok(()),
    }
}

fn function(
    types: TypesRef<'_>,
    name: &str,
    ty: &ComponentEntityType,
    expected: &Signature,
) -> Result<(), String> {
    match ty {
        ComponentEntityType::Func(id) if same(types, *id, expected) => Ok(()),
        ComponentEntityType::Func(_) => Err(format!("{name:?} has another type than the world's")),
        _ => Err(format!("{name:?} is not a function")),
    }
}

fn same(types: TypesRef<'_>, id: ComponentFuncTypeId, expected: &Signature) -> bool {
    let actual = &types[id];
    let result = match (&actual.result, expected.result) {
        (Some(ty), Some(value)) => is(types, ty, value),
        (None, None) => true,
        _ => false,
    };
    let params = actual.params.len() == expected.params.len()
        && actual
            .params
            .iter()
            .zip(expected.params)
            .all(|((name, ty), (wanted, value))| name.as_str() == *wanted && is(types, ty, *value));
    !actual.async_ && result && params
}

fn is(types: TypesRef<'_>, ty: &ComponentValType, value: Value) -> bool {
    let primitive = match value {
        Value::U32 => Primitive::U32,
        Value::S64 => Primitive::S64,
        Value::Bytes => Primitive::U8,
    };
    match ty {
        ComponentValType::Primitive(actual) => *actual == primitive && value != Value::Bytes,
        ComponentValType::Type(id) => match &types[*id] {
            ComponentDefinedType::Primitive(actual) => {
                *actual == primitive && value != Value::Bytes
            }
            ComponentDefinedType::List { element, .. } => {
                let bytes = matches!(element, ComponentValType::Primitive(Primitive::U8));
                value == Value::Bytes && bytes
            }
            _ => false,
        },
    }
}
