//! The fleet's module, asked about as tenants' are.

use super::*;

impl Desk {
    async fn of_fleet(&self, component: &[u8], generation: u32) -> Value {
        let none = ConfigurationDigest::NONE;
        let generation = format!("fleet/gen/{generation}");
        let changes = json!({ "org": "fleet", "configuration": none, "generation": generation });
        self.evaluate(component, 0, changes).await["verdict"].clone()
    }
}

/// Judged by the messages of all, and published for no configuration.
pub async fn judged_for_all(stage: &Stage) {
    let none = ConfigurationDigest::NONE;
    let status = json!({ "org": "fleet", "configuration": none });
    let held = |count: u32| json!({ "held_back": count, "training": 0, "accepted_version": 0 });
    let promotion = statement_of("fleet", none, &stage.fast, 1);
    let configured = statement_of("fleet", stage.desk.configuration, &stage.fast, 1);

    // One organization is no fleet.
    assert_eq!(
        stage.desk.ask("shadow.status", status.clone()).await,
        held(0)
    );
    assert_eq!(stage.desk.of_fleet(&stage.fast, 1).await, "insufficient");
    let refused = stage.desk.countersign(&promotion).await;
    assert_eq!(refused["error"], "not-passed");
    stage.hold_back("globex").await;
    assert_eq!(
        stage.desk.ask("shadow.status", status).await,
        held(MESSAGES)
    );
    assert_eq!(stage.desk.of_fleet(&stage.fast, 2).await, "pass");
    stage.serve(&stage.fast);
    assert_eq!(stage.desk.of_fleet(&stage.slow, 2).await, "fail");
    stage.serve(&stage.slow);
    let refused = stage.desk.countersign(&configured).await;
    assert_eq!(refused["error"], "unknown-configuration");
    let own = sign::countersign(&stage.key(), &promotion);
    let found = stage.desk.countersign(&promotion).await;
    assert_eq!(found, json!({ "keyid": own.keyid, "sig": own.sig }));
}
