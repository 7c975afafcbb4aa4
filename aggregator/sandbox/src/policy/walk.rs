//! One pass over a component's sections: how much there is of everything, and what may not be
//! there.

use super::World;
use super::{refusal, ModuleRefusal};
use super::{BODY_BYTES_MAX, FUNCTIONS_MAX, MODULES_MAX, TABLES_MAX, TABLE_ELEMENTS_MAX};
use crate::limits::Limits;
use crate::{wasi, world};
use wasmparser::{CanonicalFunction, CanonicalOption, Instance, Parser, Payload, TableType};

/// Pages of linear memory have this many bytes.
const PAGE: u64 = 65_536;

pub fn check(component: &[u8], limits: &Limits, world: World) -> Result<(), ModuleRefusal> {
    let mut counts = Counts::new(world);
    let mut ended = false;
    for payload in Parser::new(0).parse_all(component) {
        ended = matches!(payload, Ok(Payload::End(_)));
        counts.section(payload.map_err(|error| refusal(&error))?, limits)?;
    }
    if !ended {
        return Err(ModuleRefusal::Invalid(
            "the component ends early".to_owned(),
        ));
    }
    if counts.memories != 1 {
        return Err(ModuleRefusal::Memory(format!(
            "{} memories, one wanted",
            counts.memories
        )));
    }
    Ok(())
}

struct Counts {
    world: World,
    modules: usize,
    instances: usize,
    functions: usize,
    memories: usize,
    tables: usize,
}

impl Counts {
    fn new(world: World) -> Self {
        Counts {
            world,
            modules: 0,
            instances: 0,
            functions: 0,
            memories: 0,
            tables: 0,
        }
    }

    fn section(&mut self, payload: Payload<'_>, limits: &Limits) -> Result<(), ModuleRefusal> {
        let broken = |error: wasmparser::Error| refusal(&error);
        match payload {
            Payload::ModuleSection { .. } => {
                add("core modules", &mut self.modules, 1, MODULES_MAX)?;
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    if let Instance::Instantiate { .. } = instance.map_err(broken)? {
                        add("core instances", &mut self.instances, 1, MODULES_MAX)?;
                    }
                }
            }
            Payload::ComponentSection { .. } | Payload::ComponentInstanceSection(_) => {
                return Err(ModuleRefusal::Nested);
            }
            Payload::StartSection { .. } | Payload::ComponentStartSection { .. } => {
                return Err(ModuleRefusal::Start);
            }
            Payload::CodeSectionStart { count, .. } => {
                add("functions", &mut self.functions, count, FUNCTIONS_MAX)?;
            }
            Payload::CodeSectionEntry(body) => {
                let (number, limit) = (body.range().len(), BODY_BYTES_MAX);
                if number > limit {
                    return Err(ModuleRefusal::TooMany {
                        what: "bytes of a body",
                        number,
                        limit,
                    });
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memories += 1;
                    memory_fits(memory.map_err(broken)?.initial, limits)?;
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    add("tables", &mut self.tables, 1, TABLES_MAX)?;
                    table_fits(&table.map_err(broken)?.ty)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    canonical(&function.map_err(broken)?, self.world)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let name = import.map_err(broken)?.name.name;
                    importable(name, self.world).map_err(ModuleRefusal::Import)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let name = export.map_err(broken)?.name.name;
                    known(name, &[world::INIT, world::PROCESS]).map_err(ModuleRefusal::Export)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn add(what: &'static str, total: &mut usize, more: u32, limit: u32) -> Result<(), ModuleRefusal> {
    *total = total.saturating_add(more as usize);
    let (number, limit) = (*total, limit as usize);
    if number > limit {
        return Err(ModuleRefusal::TooMany {
            what,
            number,
            limit,
        });
    }
    Ok(())
}

fn memory_fits(pages: u64, limits: &Limits) -> Result<(), ModuleRefusal> {
    let (bytes, limit) = (pages.saturating_mul(PAGE), limits.memory_bytes as u64);
    if bytes > limit {
        return Err(ModuleRefusal::Memory(format!(
            "{bytes} bytes, {limit} allowed"
        )));
    }
    Ok(())
}

fn table_fits(table: &TableType) -> Result<(), ModuleRefusal> {
    let (elements, limit) = (table.initial, u64::from(TABLE_ELEMENTS_MAX));
    if elements > limit {
        return Err(ModuleRefusal::Table(format!(
            "{elements} elements, {limit} allowed"
        )));
    }
    Ok(())
}

fn canonical(function: &CanonicalFunction, world: World) -> Result<(), ModuleRefusal> {
    let options = match function {
        // What a runtime does with the handles of WASI.
        CanonicalFunction::ResourceDrop { .. } if world == World::Wasi => return Ok(()),
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options
        }
        other => return Err(ModuleRefusal::Canonical(format!("{other:?}"))),
    };
    let refused = options.iter().find(|option| {
        let (memory, realloc) = (CanonicalOption::Memory(0), CanonicalOption::Realloc(0));
        let kind = std::mem::discriminant(*option);
        let plain = **option == CanonicalOption::UTF8;
        // What a runtime frees its answer with.
        let frees = world == World::Wasi && matches!(option, CanonicalOption::PostReturn(_));
        !plain
            && !frees
            && kind != std::mem::discriminant(&memory)
            && kind != std::mem::discriminant(&realloc)
    });
    match refused {
        Some(option) => Err(ModuleRefusal::Canonical(format!("option {option:?}"))),
        None => Ok(()),
    }
}

fn importable(name: &str, world: World) -> Result<(), String> {
    let interface = name.split_once("@0.2.").map(|(interface, _)| interface);
    let empty = interface.is_some_and(|interface| wasi::INTERFACES.contains(&interface));
    match world {
        World::Wasi if empty => Ok(()),
        _ => known(name, &[world::PAYLOAD]),
    }
}

fn known(name: &str, names: &[&str]) -> Result<(), String> {
    if names.contains(&name) {
        Ok(())
    } else {
        Err(format!("{name:?} is not of the world"))
    }
}
