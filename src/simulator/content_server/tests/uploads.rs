//! Large File Upload, the way Smart UI does it and the ways it goes wrong.

use super::*;
use crate::types::ByteRange;

impl Site {
    async fn start(&self, size: usize) -> Value {
        let form = format!("file_name=cut.mov&file_size={size}&mime_type=video%2Fquicktime");
        let got = self.form("POST", "/v2/multipart", &form).await;
        assert_eq!(got.status, 200, "{}", got.text());
        got.json()["results"]["data"].clone()
    }

    async fn part(&self, key: &str, number: usize, content: &[u8]) -> Got {
        self.upload(
            &format!("/v2/multipart/{key}/{number}"),
            &[],
            ("part_content", "blob", content),
        )
        .await
    }

    /// Opens a session for `content`, sends its parts and closes it; the key.
    async fn session(&self, content: &[u8]) -> String {
        let started = self.start(content.len()).await;
        let key = started["upload_key"].as_str().unwrap().to_owned();
        for (index, part) in content.chunks(1000).enumerate() {
            assert_eq!(self.part(&key, index + 1, part).await.json(), json!({}));
        }
        assert_eq!(
            self.form("POST", &format!("/v2/multipart/{key}"), "")
                .await
                .json(),
            json!({})
        );
        key
    }

    fn content(size: u64) -> Vec<u8> {
        Master::generated(3, size).read(ByteRange::new(0, size))
    }
}

#[tokio::test]
async fn smart_uis_sequence_files_a_document_and_a_version() {
    let site = Site::new().await;
    let settings = site.get("/v2/multipart/settings").await.json();
    assert_eq!(
        settings["results"]["data"],
        json!({"is_enabled": true, "min_size": 0, "max_size": 3_638_558_720_i64})
    );
    let content = Site::content(2500);
    let started = site.start(content.len()).await;
    assert_eq!(
        (
            &started["part_size"],
            &started["num_parts"],
            &started["max_retries"]
        ),
        (&json!(1000), &json!(3), &json!(5))
    );
    let key = started["upload_key"].as_str().unwrap();
    // Three at a time, in whatever order they arrive.
    let parts: Vec<_> = content
        .chunks(1000)
        .enumerate()
        .map(|(index, part)| site.part(key, index + 1, part))
        .rev()
        .collect();
    for got in futures::future::join_all(parts).await {
        assert_eq!((got.status, got.json()), (200, json!({})));
    }
    let close = format!("/v2/multipart/{key}");
    assert_eq!(site.form("POST", &close, "").await.status, 200);
    refused(
        &site.form("POST", &close, "").await,
        500,
        "Cannot close an empty or already closed upload.",
    );
    let create = format!(
        "parent_id={}&type=144&name=final.mov&upload_key={key}",
        site.folder
    );
    let created = site.form("POST", "/v2/nodes", &create).await;
    let document = id(&created);
    let properties = &created.json()["results"]["data"]["properties"];
    assert_eq!(
        (&properties["size"], &properties["mime_type"]),
        (&json!(2500), &json!("video/quicktime"))
    );
    assert_eq!(
        site.get(&format!("/v2/nodes/{document}/content"))
            .await
            .body,
        content
    );

    let again = format!(
        "parent_id={}&type=144&name=other.mov&upload_key={key}",
        site.folder
    );
    refused(
        &site.form("POST", "/v2/nodes", &again).await,
        500,
        "UploadKey is invalid",
    );
    let key = site.session(&Site::content(1200)).await;
    let body =
        json!({"upload_key": key, "description": "lh1 x", "external_modify_date": "2026-01-01"});
    let added = site
        .body("POST", &format!("/v2/nodes/{document}/versions"), body)
        .await
        .json();
    let version = &added["results"]["data"]["versions"];
    assert_eq!(
        (&version["version_number"], &version["file_size"]),
        (&json!(2), &json!(1200))
    );
    assert_eq!(
        (&version["file_name"], &version["description"]),
        (&json!("cut.mov"), &json!("lh1 x"))
    );
    assert_eq!(site.cs.uploads(), 0);
}

#[tokio::test]
async fn a_start_is_held_to_the_window_and_the_form() {
    let site = Site::with(|config| {
        config.multipart.min_size = 10;
        config.multipart.max_size = 20;
    })
    .await;
    for (size, status) in [(9, 500), (10, 200), (20, 200), (21, 500)] {
        let form = format!("file_name=a&file_size={size}&mime_type=x%2Fy");
        let got = site.form("POST", "/v2/multipart", &form).await;
        assert_eq!(got.status, status, "{size}: bounds are inclusive");
        if status == 500 {
            refused(
                &got,
                500,
                "Invalid block size: File size must be between 10 and 20 bytes.",
            );
        }
    }
    for form in [
        "file_size=10&mime_type=x",
        "file_name=&file_size=10&mime_type=x",
        "file_name=a&file_size=10&mime_type=",
        "file_name=a&file_size=ten&mime_type=x",
        "file_name=a&file_size=-1&mime_type=x",
    ] {
        refused(
            &site.form("POST", "/v2/multipart", form).await,
            400,
            "Pattern of argument was not recognized",
        );
    }
    site.cs
        .configure(|config| config.multipart.enabled = false)
        .unwrap();
    assert_eq!(
        site.get("/v2/multipart/settings").await.json()["results"]["data"]["is_enabled"],
        false
    );
    site.cs
        .configure(|config| config.multipart.exists = false)
        .unwrap();
    refused(
        &site.get("/v2/multipart/settings").await,
        400,
        "mappings registry",
    );
}

#[tokio::test]
async fn parts_are_checked_and_never_replaced() {
    let site = Site::new().await;
    let key = site.start(2500).await["upload_key"]
        .as_str()
        .unwrap()
        .to_owned();
    refused(
        &site.part(&key, 0, b"x").await,
        500,
        "Invalid BlockID: Expected BlockID between 1 and 3",
    );
    refused(
        &site.part(&key, 4, b"x").await,
        500,
        "Expected BlockID between 1 and 3",
    );
    refused(
        &site.part(&key, 1, b"short").await,
        500,
        "Expected 1000 bytes",
    );
    refused(
        &site.part("nonsense", 1, b"x").await,
        500,
        "Either the UploadKey is invalid, or you do not have permission",
    );
    let wrong = site
        .upload(
            &format!("/v2/multipart/{key}/1"),
            &[],
            ("file", "blob", &[0; 1000]),
        )
        .await;
    refused(&wrong, 400, "Pattern of argument was not recognized");
    let close = format!("/v2/multipart/{key}");
    refused(
        &site.form("POST", &close, "").await,
        500,
        "Cannot close an empty",
    );
    assert_eq!(
        site.part(&key, 3, &[0; 500]).await.status,
        200,
        "the last one is shorter"
    );
    refused(
        &site.part(&key, 3, &[1; 500]).await,
        500,
        "Invalid BlockID: BlockID 3 has already been uploaded.",
    );
    refused(&site.form("POST", &close, "").await, 500, "1 of 3 parts");
    let create = format!("parent_id={}&type=144&name=a&upload_key={key}", site.folder);
    assert_eq!(
        site.form("POST", "/v2/nodes", &create).await.status,
        400,
        "not closed yet"
    );
    assert_eq!(site.form("DELETE", &close, "").await.json(), json!({}));
    refused(
        &site.part(&key, 1, &[0; 1000]).await,
        500,
        "UploadKey is invalid",
    );
}

#[tokio::test]
async fn a_part_that_breaks_off_is_not_there() {
    let site = Site::new().await;
    let content = Site::content(1000);
    let key = site.start(1000).await["upload_key"]
        .as_str()
        .unwrap()
        .to_owned();
    site.fault(
        "POST",
        "*/multipart/*/1",
        Action::CutRequest {
            after: 600,
            reset: false,
        },
    );
    let path = format!("/v2/multipart/{key}/1");
    let headers = [MULTIPART, ("OTCSTicket", site.ticket.as_str())];
    let form = multipart(&[], Some(("part_content", "blob", &content)));
    assert!(site.try_raw("POST", &path, &headers, form).await.is_err());
    assert_eq!(site.part(&key, 1, &content).await.status, 200);
}

#[tokio::test]
async fn after_a_lost_reply_the_repeat_says_the_part_is_there() {
    let site = Site::new().await;
    let key = site.start(1000).await["upload_key"]
        .as_str()
        .unwrap()
        .to_owned();
    site.fault("POST", "*/multipart/*/1", Action::DropReply);
    let form = multipart(&[], Some(("part_content", "blob", &[7; 1000])));
    let headers = [MULTIPART, ("OTCSTicket", site.ticket.as_str())];
    assert!(
        site.try_raw("POST", &format!("/v2/multipart/{key}/1"), &headers, form)
            .await
            .is_err()
    );
    refused(
        &site.part(&key, 1, &[7; 1000]).await,
        500,
        "has already been uploaded",
    );
}

#[tokio::test]
async fn a_session_belongs_to_its_user_its_cluster_node_and_its_time() {
    let site = Site::with(|config| {
        config.nodes = 2;
        config.multipart.one_node = true;
        config.multipart.lifetime = Duration::from_secs(60);
    })
    .await;
    let (_, ann) = site.reader().await;
    let cookie = |node: u32| format!("otcs_node={node}");
    let send = async |ticket: &str, node: u32, path: &str, form: &str| {
        site.raw(
            "POST",
            path,
            &[FORM, ("OTCSTicket", ticket), ("Cookie", &cookie(node))],
            form,
        )
        .await
    };
    let start = "file_name=a&file_size=1000&mime_type=x";
    let first = send(&site.ticket, 1, "/v2/multipart", start).await.json();
    let key = first["results"]["data"]["upload_key"]
        .as_str()
        .unwrap()
        .to_owned();
    let close = format!("/v2/multipart/{key}");
    refused(
        &send(&ann, 1, &close, "").await,
        500,
        "UploadKey is invalid",
    );
    refused(
        &send(&site.ticket, 0, &close, "").await,
        500,
        "UploadKey is invalid",
    );
    refused(
        &send(&site.ticket, 1, &close, "").await,
        500,
        "Cannot close an empty",
    );
    site.cs.advance(Duration::from_secs(61));
    refused(
        &send(&site.ticket, 1, &close, "").await,
        500,
        "Multipart Upload session expired",
    );
    let without = site.get("/v2/nodes/2000").await;
    assert!(
        without
            .header("set-cookie")
            .unwrap()
            .starts_with("otcs_node=")
    );
}

#[tokio::test]
async fn a_collision_leaves_the_key_usable_and_a_lost_key_is_refused() {
    let site = Site::new().await;
    site.document("taken", b"1").await;
    let key = site.session(&Site::content(1500)).await;
    let create = |name: &str| {
        format!(
            "parent_id={}&type=144&name={name}&upload_key={key}",
            site.folder
        )
    };
    refused(
        &site.form("POST", "/v2/nodes", &create("taken")).await,
        500,
        "already exists",
    );
    assert_eq!(
        site.form("POST", "/v2/nodes", &create("free")).await.status,
        200
    );
    let key = site.session(&Site::content(1500)).await;
    site.cs.lose_uploads(Some(&key));
    let create = format!(
        "parent_id={}&type=144&name=gone&upload_key={key}",
        site.folder
    );
    refused(
        &site.form("POST", "/v2/nodes", &create).await,
        500,
        "UploadKey is invalid",
    );
    site.cs
        .configure(|config| config.multipart.single_use = false)
        .unwrap();
    let key = site.session(&Site::content(10)).await;
    for name in ["x", "y"] {
        let create = format!(
            "parent_id={}&type=144&name={name}&upload_key={key}",
            site.folder
        );
        assert_eq!(site.form("POST", "/v2/nodes", &create).await.status, 200);
    }
}

#[tokio::test]
async fn a_registered_master_is_filed_by_reference_and_read_back() {
    let site = Site::new().await;
    let master = Master::generated(3, 5500);
    site.cs.register(master.clone());
    site.cs.register(Master::generated(4, 5500));
    let key = site.session(&Site::content(5500)).await;
    let create = format!("parent_id={}&type=144&name=m&upload_key={key}", site.folder);
    let document = id(&site.form("POST", "/v2/nodes", &create).await);
    let version = &site.cs.visible_versions()[0];
    assert!(version.recognised);
    assert_eq!(version.sha256.unwrap().to_string(), master.sha256());
    assert_eq!(
        site.get(&format!("/v2/nodes/{document}/content"))
            .await
            .body,
        Site::content(5500)
    );
}
