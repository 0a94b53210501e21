//! Permissions and categories.

use std::collections::BTreeSet;

use super::super::{ApplyTo, CategoryValues, Grant, Holder, Right};
use super::*;
use crate::transfer::{NewContent, Session};
use crate::types::{FailureClass, NodeId, Reason, UploadKey};

fn permissions() -> Value {
    let row = |kind: &str, id: Value, rights: &[&str]| json!({"data": {"permissions": {"type": kind, "right_id": id, "permissions": rights}}});
    json!({"results": [
        row("owner", json!(1000), &["see", "see_contents", "delete"]),
        row("group", json!(999), &["see"]),
        row("public", json!(null), &[]),
        row("custom", json!(15234), &["see", "fly"]),
        row("dynamic", json!(7), &["see"]),
    ]})
}

#[tokio::test]
async fn every_grant_of_a_node_is_read() {
    let server = Server::start(|_| ok(permissions())).await;
    let grants = server.client().permissions(NodeId(5)).await.unwrap();
    assert_eq!(server.only().line(), "GET v2/nodes/5/permissions");
    let grant = |holder, rights: &[Right]| Grant {
        holder,
        rights: rights.iter().copied().collect(),
    };
    assert_eq!(
        grants,
        [
            grant(
                Holder::Owner(Some(1000)),
                &[Right::See, Right::SeeContents, Right::Delete]
            ),
            grant(Holder::Group(Some(999)), &[Right::See]),
            grant(Holder::Public, &[]),
            grant(Holder::Custom(15234), &[Right::See]),
        ]
    );
}

#[tokio::test]
async fn rights_are_set_where_their_holder_stands() {
    let server = Server::start(|seen| match seen.method {
        Method::GET => ok(permissions()),
        _ => ok(json!({"links": {}, "results": {}})),
    })
    .await;
    let client = server.client();
    let rights: BTreeSet<_> = [Right::See, Right::SeeContents].into();
    for (holder, reach) in [
        (Holder::Owner(Some(8)), ApplyTo::ThisItem),
        (Holder::Public, ApplyTo::ThisAndSubItems),
        (Holder::Custom(15234), ApplyTo::ThisItem),
        (Holder::Custom(42), ApplyTo::ThisItem),
    ] {
        let rights = rights.clone();
        client
            .set_permissions(NodeId(5), &Grant { holder, rights }, reach)
            .await
            .unwrap();
    }
    let nobody = Grant {
        holder: Holder::Group(None),
        rights: BTreeSet::new(),
    };
    client
        .set_permissions(NodeId(5), &nobody, ApplyTo::ThisItem)
        .await
        .unwrap();
    let writes: Vec<_> = server
        .seen()
        .iter()
        .filter(|seen| seen.method != Method::GET)
        .map(|seen| (seen.line(), seen.parameters()))
        .collect();
    let see = json!(["see", "see_contents"]);
    let base = "v2/nodes/5/permissions";
    assert_eq!(
        writes,
        [
            (
                format!("PUT {base}/owner"),
                json!({"permissions": see, "apply_to": 0, "right_id": 8})
            ),
            (
                format!("PUT {base}/public"),
                json!({"permissions": see, "apply_to": 2})
            ),
            (
                format!("PUT {base}/custom/15234"),
                json!({"permissions": see, "apply_to": 0})
            ),
            (
                format!("POST {base}/custom"),
                json!({"permissions": see, "apply_to": 0, "right_id": 42})
            ),
            (
                format!("PUT {base}/group"),
                json!({"permissions": [], "apply_to": 0})
            ),
        ]
    );
}

#[tokio::test]
async fn missing_rights_to_change_rights_park_the_item() {
    let server =
        Server::start(|_| error(500, "Insufficient permissions to perform that action")).await;
    let grant = Grant {
        holder: Holder::Public,
        rights: BTreeSet::new(),
    };
    let failure = server
        .client()
        .set_permissions(NodeId(5), &grant, ApplyTo::ThisItem)
        .await
        .unwrap_err();
    assert_eq!(
        (failure.class, failure.reason),
        (FailureClass::ItemIsWrong, Reason::Inaccessible)
    );
}

fn categories() -> Value {
    json!({"results": [{
        "data": {"categories": {"9830_2": "Ann", "9830_3": ["a", "b"], "9830_4_1_5": 7}},
        "metadata": {"categories": {"9830": {"name": "Rights", "persona": "category"},
            "9830_2": {"name": "Owner", "type_name": "String", "required": true, "max_length": 254}}},
        "metadata_order": {"categories": ["9830"]}
    }]})
}

#[tokio::test]
async fn categories_are_read_with_their_names_and_values() {
    let server = Server::start(|_| ok(categories())).await;
    let found = server.client().categories(NodeId(5)).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].id, found[0].name.as_deref()),
        (NodeId(9830), Some("Rights"))
    );
    assert_eq!(found[0].values.0["9830_3"], json!(["a", "b"]));
    assert!(server.only().query.contains_key("metadata"));
}

#[tokio::test]
async fn a_category_that_is_there_is_updated_and_another_is_added_first() {
    let server = Server::start(|seen| match seen.method {
        Method::GET => ok(categories()),
        _ => ok(json!({"links": {}, "results": {}})),
    })
    .await;
    let client = server.client();
    let values = CategoryValues::default()
        .set("9830_2", "Bob")
        .set("9830_3", vec!["x", "y"]);
    client
        .set_category(NodeId(5), NodeId(9830), &values)
        .await
        .unwrap();
    let other = CategoryValues::default().set("77_2_multilingual", json!({"en": "x"}));
    client
        .set_category(NodeId(5), NodeId(77), &other)
        .await
        .unwrap();
    let writes: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.method != Method::GET)
        .collect();
    assert_eq!(writes[0].line(), "PUT v2/nodes/5/categories/9830");
    let fields = writes[0].fields();
    let fields: Vec<_> = fields
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        fields,
        [("9830_2", "Bob"), ("9830_3", "x"), ("9830_3", "y")]
    );
    assert_eq!(writes[1].line(), "POST v2/nodes/5/categories");
    assert_eq!(
        writes[1].parameters(),
        json!({"category_id": 77, "77_2_multilingual": {"en": "x"}})
    );
    assert_eq!(writes.len(), 2);
}

#[tokio::test]
async fn a_category_added_by_somebody_else_meanwhile_is_updated() {
    let server = Server::start(|seen| match seen.method {
        Method::GET => ok(json!({"results": []})),
        Method::POST => error(400, "The attribute group 'Rights' already exists"),
        _ => ok(json!({"links": {}, "results": {}})),
    })
    .await;
    let values = CategoryValues::default().set("9830_2", "Bob");
    server
        .client()
        .set_category(NodeId(5), NodeId(9830), &values)
        .await
        .unwrap();
    assert_eq!(server.seen().last().unwrap().method, Method::PUT);
}

#[tokio::test]
async fn definitions_are_read_from_the_single_shape() {
    let server = Server::start(|_| {
        let mut answer = categories();
        answer["results"] = answer["results"][0].take();
        ok(answer)
    })
    .await;
    let definitions = server
        .client()
        .category_definition(NodeId(5), NodeId(9830))
        .await
        .unwrap();
    let owner = definitions.iter().find(|d| d.key == "9830_2").unwrap();
    assert!(owner.required);
    assert_eq!(
        (owner.name.as_str(), owner.max_length),
        ("Owner", Some(254))
    );
}

#[tokio::test]
async fn a_new_document_carries_its_categories_in_the_same_call() {
    let server = Server::start(|seen| {
        let folder = seen.parameters()["type"] == 0;
        ok(single(document(9, 2, if folder { "f" } else { "a" }, 9)))
    })
    .await;
    let client = server.client();
    let values = CategoryValues::default()
        .apply(NodeId(3452))
        .set("8211_2", "x");
    let content = NewContent::Session(Session {
        key: UploadKey::from("k"),
        part_size: 4,
        parts: 3,
    });
    client
        .create_document_with(NodeId(2), "a", content, &values)
        .await
        .unwrap();
    client.create_folder(NodeId(2), "f", &values).await.unwrap();
    let seen = server.seen();
    let roles = json!({"categories": {"3452_1": {}, "8211_2": "x"}});
    assert_eq!(
        seen[0].parameters(),
        json!({"type": 144, "parent_id": 2, "name": "a", "upload_key": "k", "roles": roles})
    );
    assert_eq!(
        seen[1].parameters(),
        json!({"type": 0, "parent_id": 2, "name": "f", "roles": roles})
    );
}

#[tokio::test]
async fn a_right_is_missing_only_when_the_server_says_so() {
    let rights = |names: Value| json!({"results": {"data": {"permissions": {"permissions": names, "right_id": 7}}}});
    let unmapped = json!({"error": "The REST API URL could not be found in the mappings registry"});
    for (code, effective, barred) in [
        (200, rights(json!(["see", "see_contents"])), true),
        (200, rights(json!(["see", "add_items"])), false),
        (200, rights(Value::Null), false),
        (200, json!({"results": {}}), false),
        (400, unmapped, false),
    ] {
        let server = Server::start(move |seen| match seen.line().as_str() {
            "GET v1/auth" => ok(json!({"data": {"id": "7", "name": "svc"}})),
            "GET v2/nodes/5/permissions/effective/7" => status(code, effective.clone()),
            other => panic!("{other}"),
        })
        .await;
        let found = server.client().barred(NodeId(5), Right::AddItems).await;
        assert_eq!(found.unwrap(), barred.then(|| "svc".to_owned()));
    }
}
