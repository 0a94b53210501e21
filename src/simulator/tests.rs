use serde_json::{Value, json};

use super::testing::{get, send};
use super::*;

async fn start() -> Simulator {
    Simulator::start(Options::default()).await.unwrap()
}

async fn post(url: &str, body: Value) -> Value {
    let got = send("POST", url, &[], body.to_string()).await.unwrap();
    assert_eq!(got.status, 200, "{}", got.text());
    got.json()
}

#[tokio::test]
async fn every_address_in_the_connection_answers() {
    let simulator = start().await;
    let connection = simulator.connection_json();
    let iconik = &connection["iconik"];
    let headers = [
        ("App-ID", iconik["app_id"].as_str().unwrap()),
        ("Auth-Token", iconik["token"].as_str().unwrap()),
    ];
    let url = format!(
        "{}/API/users/v1/users/current/",
        iconik["url"].as_str().unwrap()
    );
    assert_eq!(send("GET", &url, &headers, "").await.unwrap().status, 200);

    let server = &connection["content_server"];
    let url = server["url"].as_str().unwrap();
    assert!(url.ends_with("/otcs/cs.exe"));
    let form = format!("username={USER}&password={PASSWORD}");
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let login = send("POST", &format!("{url}/api/v1/auth"), &kind, form)
        .await
        .unwrap();
    let ticket = login.json()["ticket"].as_str().unwrap().to_owned();
    for folder in ["target", "staging"] {
        let node = format!("{url}/api/v2/nodes/{}", server[folder]);
        let got = send("GET", &node, &[("OTCSTicket", &ticket)], "")
            .await
            .unwrap();
        assert_eq!(got.status, 200, "{}", got.text());
    }

    let settings: toml::Table = connection["toml"].as_str().unwrap().parse().unwrap();
    assert_eq!(settings["iconik"]["url"].as_str(), iconik["url"].as_str());
    assert_eq!(
        settings["content_server"]["commit_quiet"].as_str(),
        Some("3000 ms")
    );
    simulator.stop().await;
}

#[tokio::test]
async fn rules_can_be_set_seen_and_removed_from_outside() {
    let simulator = start().await;
    let faults = format!("{}/faults", simulator.control_url());
    let rule = json!({"system": "iconik", "action": {"kind": "drop_reply"}});
    let one = post(&faults, rule.clone()).await;
    assert_eq!(one, json!({"ids": [1]}));
    let scenario = json!({"about": "two", "rules": [rule, {"system": "bucket", "action": {"kind": "expire_url"}}]});
    assert_eq!(post(&faults, scenario).await, json!({"ids": [2, 3]}));
    let url = format!("{}/API/", simulator.iconik_url());
    assert!(get(&url).await.is_err());
    let listed = get(&faults).await.unwrap().json();
    assert_eq!(
        (&listed[0]["fired"], &listed[2]["fired"]),
        (&json!(1), &json!(0))
    );
    let gone = send("DELETE", &format!("{faults}/1"), &[], "")
        .await
        .unwrap();
    assert_eq!(gone.json(), json!({"removed": true}));
    send("DELETE", &faults, &[], "").await.unwrap();
    assert_eq!(get(&url).await.unwrap().status, 401);
    let wrong = send("POST", &faults, &[], "{\"action\":{\"kind\":\"explode\"}}")
        .await
        .unwrap();
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn switches_change_in_part_and_unknown_ones_are_refused() {
    let simulator = start().await;
    let control = simulator.control_url();
    let quirks = post(&format!("{control}/quirks"), json!({"index_lag_ms": 70})).await;
    assert_eq!(
        (&quirks["index_lag_ms"], &quirks["retry_after"]),
        (&json!(70), &json!(true))
    );
    let config = post(
        &format!("{control}/config"),
        json!({"multipart": {"min_size": 5}}),
    )
    .await;
    assert_eq!(config["multipart"]["min_size"], 5);
    let links = post(
        &format!("{control}/links"),
        json!({"bucket": {"latency_ms": 1}}),
    )
    .await;
    assert_eq!(links["bucket"]["latency_ms"], 1);
    for (path, body) in [
        ("quirks", json!({"lag": 1})),
        ("config", json!({"rangess": true})),
        ("links", json!({"moon": {}})),
        ("clock", json!({})),
        ("objects", json!({"key": "a"})),
    ] {
        let got = send("POST", &format!("{control}/{path}"), &[], body.to_string())
            .await
            .unwrap();
        assert_eq!(got.status, 400, "{path}");
    }
    post(&format!("{control}/reset"), json!({})).await;
    assert_eq!(simulator.iconik().quirks(), Quirks::default());
}

#[tokio::test]
async fn the_state_of_all_systems_is_seen_from_outside() {
    let simulator = start().await;
    let control = simulator.control_url();
    let before = get(&format!("{control}/state")).await.unwrap().json();
    assert_eq!(before["campaign"], "small");
    get(&format!("{}/x", simulator.bucket_url())).await.unwrap();
    let log = get(&format!("{control}/history?system=bucket"))
        .await
        .unwrap()
        .json();
    assert_eq!(
        (log.as_array().unwrap().len(), &log[0]["path"]),
        (1, &json!("/x"))
    );
    assert_eq!(
        get(&format!("{control}/history?system=iconik"))
            .await
            .unwrap()
            .json(),
        json!([])
    );
    for list in ["writes", "versions", "duplicates"] {
        assert_eq!(
            get(&format!("{control}/{list}")).await.unwrap().json(),
            json!([]),
            "{list}"
        );
    }
    let moved = post(
        &format!("{control}/clock"),
        json!({"advance_ms": 3_600_000}),
    )
    .await;
    let (then, now) = (
        before["now_ms"].as_i64().unwrap(),
        moved["now_ms"].as_i64().unwrap(),
    );
    assert!(now >= then + 3_600_000);
    assert_eq!(
        get(&format!("{control}/nothing")).await.unwrap().status,
        404
    );
}

#[test]
fn every_scenario_file_reads_and_says_what_it_is_about() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/scenarios");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let scenario: faults::Scenario = serde_json::from_str(&text).unwrap();
        assert!(!scenario.about.is_empty() && !scenario.rules.is_empty());
        files += 1;
    }
    assert!(files > 0);
}
