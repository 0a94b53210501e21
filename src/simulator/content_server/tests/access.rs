//! Addresses, signing in, tickets, arguments, rights.

use base64::Engine;

use super::*;

#[tokio::test]
async fn ping_is_open_and_everything_else_wants_credentials() {
    let site = Site::new().await;
    let ping = site.raw("GET", "/v1/ping", &[], "").await;
    assert_eq!(
        ping.json(),
        json!({"rest_api": [{"build": 2, "href": "api/v1", "version": 1}]})
    );
    for path in [
        "/v2/nodes/2000",
        "/v1/serverinfo",
        "/v2/multipart/settings",
        "/v2/nonsense",
    ] {
        refused(
            &site.raw("GET", path, &[], "").await,
            401,
            "Authentication Required",
        );
    }
    let forged = "A".repeat(96);
    let got = site.as_user(&forged, "GET", "/v2/nodes/2000", "").await;
    refused(&got, 401, "Authentication Required");
}

#[tokio::test]
async fn a_ticket_is_taken_from_every_place_clients_put_it() {
    let site = Site::new().await;
    let ticket = site.ticket.as_str();
    let cookie = format!("other=1; LLCookie={ticket}");
    let encoded = format!(
        "OTCSTicket={}",
        percent_encoding::utf8_percent_encode(ticket, percent_encoding::NON_ALPHANUMERIC)
    );
    for header in [
        ("OTCSTICKET", ticket),
        ("otcsticket", ticket),
        ("LLCookie", ticket),
        ("Cookie", &cookie),
        ("Cookie", &encoded),
    ] {
        let got = site.raw("GET", "/v1/auth", &[header], "").await;
        assert_eq!(got.json()["data"]["id"], 1000, "{header:?}");
    }
}

#[tokio::test]
async fn other_prefixes_are_not_the_interface_and_unknown_calls_are_named_so() {
    let site = Site::with(|config| config.cgi = "/cs/cs".into()).await;
    assert!(site.url.ends_with("/cs/cs/api"));
    assert_eq!(site.get("/v2/nodes/2000").await.status, 200);
    refused(
        &site.get("/v2/nonsense").await,
        400,
        "could not be found in the mappings registry",
    );
    let base = site.url.trim_end_matches("/cs/cs/api");
    let elsewhere = testing::get(&format!("{base}/otcs/cs.exe/api/v2/nodes/2000"))
        .await
        .unwrap();
    assert_eq!(elsewhere.status, 404);
    let configured = testing::get(&format!("{base}/cssupport/csconfigured"))
        .await
        .unwrap();
    assert_eq!(configured.status, 200);
}

#[tokio::test]
async fn a_sign_in_is_refused_in_the_documented_words() {
    let site = Site::new().await;
    for (form, status, text) in [
        (
            "username=Admin&password=wrong",
            401,
            "Invalid username/password specified",
        ),
        (
            "username=nobody&password=x",
            401,
            "Invalid username/password specified",
        ),
        ("password=x", 500, "Argument username is required"),
        ("username=Admin", 500, "Argument password is required"),
        (
            "username=Admin&password=livelink&domain=x",
            401,
            "Domain support is disabled",
        ),
    ] {
        refused(
            &site.raw("POST", "/v1/auth", &[FORM], form).await,
            status,
            text,
        );
    }
    let form = multipart(&[("username", "admin"), ("password", "livelink")], None);
    assert_eq!(
        site.raw("POST", "/v1/auth", &[MULTIPART], form)
            .await
            .status,
        200,
        "as a multipart form, too"
    );
}

#[tokio::test]
async fn a_sliding_ticket_is_renewed_by_every_answer_and_a_fixed_one_keeps_its_end() {
    let minute = Duration::from_secs(60);
    for (mode, survives) in [(TicketMode::Sliding, true), (TicketMode::Fixed, false)] {
        let site = Site::with(|config| config.tickets = mode).await;
        site.cs.advance(20 * minute);
        let got = site.get("/v2/nodes/2000").await;
        let fresh = got.header("OTCSTicket").unwrap().to_owned();
        assert_ne!(fresh, site.ticket);
        assert_eq!(
            site.get("/v2/nodes/2000").await.status,
            200,
            "the old one is good until its own end"
        );
        site.cs.advance(15 * minute);
        refused(
            &site.get("/v2/nodes/2000").await,
            401,
            "Authentication Required",
        );
        let got = site.as_user(&fresh, "GET", "/v2/nodes/2000", "").await;
        assert_eq!(got.status == 200, survives, "{mode:?}");
    }
    let site = Site::with(|config| config.tickets = TicketMode::None).await;
    assert_eq!(site.get("/v2/nodes/2000").await.header("OTCSTicket"), None);
}

#[tokio::test]
async fn tickets_end_by_force_by_logout_and_by_a_login_elsewhere() {
    let site = Site::with(|config| {
        config.one_session_per_user = true;
        config.announce_expiry = true;
    })
    .await;
    assert!(
        site.get("/v2/nodes/2000")
            .await
            .header("OTCSTicketExpires")
            .unwrap()
            .ends_with('Z')
    );
    let second = site.login(ADMIN_NAME, ADMIN_PASSWORD).await;
    refused(
        &site.get("/v2/nodes/2000").await,
        401,
        "Authentication Required",
    );
    assert_eq!(
        site.as_user(&second, "DELETE", "/v1/auth", "").await.json(),
        json!({})
    );
    refused(
        &site.as_user(&second, "GET", "/v1/auth", "").await,
        401,
        "Authentication Required",
    );
    let third = site.login(ADMIN_NAME, ADMIN_PASSWORD).await;
    site.cs.expire_tickets();
    refused(
        &site.as_user(&third, "GET", "/v1/auth", "").await,
        401,
        "Authentication Required",
    );
}

#[tokio::test]
async fn otds_credentials_are_traded_for_a_ticket() {
    let site = Site::new().await;
    let (user, _) = site.reader().await;
    site.cs.add_client("svc", "secret", user);
    let base = site.url.trim_end_matches("/otcs/cs.exe/api").to_owned();
    let token = |form: &'static str, headers: Vec<(&'static str, String)>| {
        let url = format!("{base}/otdsws/oauth2/token");
        async move {
            let mut all = vec![FORM];
            all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
            testing::send("POST", &url, &all, form).await.unwrap()
        }
    };
    let got = token(
        "grant_type=client_credentials&client_id=svc&client_secret=secret",
        vec![],
    )
    .await;
    assert_eq!(got.json()["token_type"], "Bearer");
    let basic = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode("svc:secret")
    );
    let got = token(
        "grant_type=client_credentials",
        vec![("authorization", basic)],
    )
    .await;
    let bearer = format!("Bearer {}", got.json()["access_token"].as_str().unwrap());
    let got = site
        .raw("GET", "/v1/auth", &[("Authorization", &bearer)], "")
        .await;
    assert_eq!(got.json()["data"]["name"], "ann");
    let ticket = got.header("OTCSTicket").unwrap().to_owned();
    assert_eq!(
        site.as_user(&ticket, "GET", "/v1/auth", "").await.status,
        200
    );
    let wrong = token(
        "grant_type=client_credentials&client_id=svc&client_secret=x",
        vec![],
    )
    .await;
    assert_eq!(
        (wrong.status, wrong.json()["error"].as_str()),
        (401, Some("invalid_client"))
    );

    let url = format!("{base}/otdsws/rest/authentication/credentials");
    let json = ("content-type", "application/json");
    let body = r#"{"userName":"ann@partition","password":"pw"}"#;
    let got = testing::send("POST", &url, &[json], body).await.unwrap();
    let ticket = got.json()["ticket"].as_str().unwrap().to_owned();
    assert!(ticket.starts_with("*OTDSSSO*"), "{ticket}");
    let got = site
        .raw("GET", "/v2/nodes/2000", &[("OTDSTicket", &ticket)], "")
        .await;
    assert!(got.header("OTCSTicket").is_some());
    let wrong = testing::send(
        "POST",
        &url,
        &[json],
        r#"{"userName":"ann","password":"x"}"#,
    )
    .await
    .unwrap();
    assert_eq!(wrong.status, 401);
}

#[tokio::test]
async fn serverinfo_has_what_clients_read() {
    let site = Site::with(|config| config.request_limit = Duration::from_secs(2)).await;
    let info = site.get("/v1/serverinfo").await.json();
    let version = info["server"]["version"].as_str().unwrap();
    assert!(version.parse::<f64>().is_ok(), "{version}");
    assert_eq!(
        info["server"]["metadata_languages"][0]["language_code"],
        "en"
    );
    assert_eq!(info["sessions"]["session_timeout"], 1_800_000);
    assert_eq!(info["sessions"]["expire_after_last_request"], true);
    assert_eq!(info["sessions"]["request_limit"], 2000);
    assert!(
        info["server"]["url"]
            .as_str()
            .unwrap()
            .ends_with("/otcs/cs.exe")
    );
}

#[tokio::test]
async fn arguments_come_by_query_form_body_and_multipart_alike() {
    let site = Site::new().await;
    let folder = site.folder;
    let body = json!({"type": "0", "parent_id": folder.to_string(), "name": "by body"});
    assert_eq!(site.body("POST", "/v2/nodes", body).await.status, 200);
    let form = format!("type=0&parent_id={folder}&name=by+form");
    assert_eq!(site.form("POST", "/v2/nodes", &form).await.status, 200);
    let query = format!("/v2/nodes?type=0&parent_id={folder}&name=by%20query");
    assert_eq!(site.form("POST", &query, "").await.status, 200);
    let headers = [MULTIPART, ("OTCSTicket", site.ticket.as_str())];
    let parts = multipart(
        &[(
            "body",
            &json!({"type": 0, "parent_id": folder, "name": "by part"}).to_string(),
        )],
        None,
    );
    assert_eq!(
        site.raw("POST", "/v2/nodes", &headers, parts).await.status,
        200
    );
    assert_eq!(
        site.children().await,
        ["by body", "by form", "by part", "by query"]
    );

    refused(
        &site.form("POST", "/v2/nodes", "body=%5B%5D").await,
        400,
        "Body parameter is invalid",
    );
    refused(
        &site.form("POST", "/v2/nodes", "").await,
        400,
        "Parameters are required for PUT, POST",
    );
    refused(
        &site
            .form("POST", "/v2/nodes", "type=x&parent_id=1&name=a")
            .await,
        400,
        "argument 'type'",
    );
    refused(
        &site.form("POST", "/v2/nodes", "type=0&name=a").await,
        400,
        "Missing required parameter 'parent_id'",
    );
    refused(
        &site.get("/v2/nodes/abc").await,
        400,
        "Invalid datatype specified for argument 'id'",
    );
}

#[tokio::test]
async fn json_bodies_on_node_calls_are_for_lenient_servers_only() {
    for (strict, status) in [(true, 400), (false, 200)] {
        let site = Site::with(|config| config.strict = strict).await;
        let body = json!({"type": 0, "parent_id": site.folder, "name": "a"}).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("OTCSTicket", site.ticket.as_str()),
        ];
        assert_eq!(
            site.raw("POST", "/v2/nodes", &headers, body).await.status,
            status,
            "strict {strict}"
        );
    }
}

#[tokio::test]
async fn suppressed_codes_move_into_the_body() {
    let site = Site::new().await;
    let got = site.get("/v2/nodes/999999?suppress_response_codes").await;
    assert_eq!((got.status, &got.json()["statusCode"]), (200, &json!(400)));
    let got = site.get("/v2/nodes/2000?suppress_response_codes").await;
    assert_eq!(got.json()["statusCode"], 200);
    let got = site
        .raw("GET", "/v2/nodes/2000?suppress_response_codes", &[], "")
        .await;
    assert_eq!((got.status, &got.json()["statusCode"]), (200, &json!(401)));
}

#[tokio::test]
async fn answers_carry_the_headers_of_a_real_one() {
    let site = Site::new().await;
    let got = site.get("/v2/nodes/2000").await;
    assert_eq!(
        got.header("content-type"),
        Some("application/json; charset=UTF-8")
    );
    assert_eq!(got.header("pragma"), Some("no-cache"));
    assert_eq!(got.header("expires"), Some("0"));
    assert!((92..=100).contains(&got.header("OTCSTicket").unwrap().len()));
    assert!(got.header("date").is_some());
}

#[tokio::test]
async fn what_a_user_may_not_see_looks_missing() {
    let site = Site::new().await;
    let (_, ann) = site.reader().await;
    let document = site.document("a.mov", b"1").await;
    site.cs.publish(document, &[]).unwrap();
    for (method, path, status) in [
        ("GET", format!("/v2/nodes/{document}"), 400),
        ("GET", format!("/v2/nodes/{document}/versions"), 400),
        ("GET", format!("/v2/nodes/{document}/content"), 500),
        ("GET", format!("/v2/nodes/{document}/permissions"), 500),
        ("PUT", format!("/v2/nodes/{document}"), 400),
    ] {
        let got = site.as_user(&ann, method, &path, "name=b").await;
        refused(
            &got,
            status,
            "Sorry, the item you requested could not be accessed",
        );
    }
    let children = format!("/v2/nodes/{}/nodes", site.folder);
    let listed = site.as_user(&ann, "GET", &children, "").await.json();
    assert_eq!(listed["collection"]["paging"]["total_count"], 0);
    let listed = site
        .as_user(&ann, "POST", "/v2/nodes/list", &format!("ids={document}"))
        .await
        .json();
    assert_eq!(listed["results"], json!([]));
}

#[tokio::test]
async fn a_user_with_fewer_rights_is_refused_in_documented_words() {
    let site = Site::new().await;
    let (user, ann) = site.reader().await;
    let document = site.document("a.mov", b"1").await;
    let create = format!("type=0&parent_id={}&name=new", site.folder);
    refused(
        &site.as_user(&ann, "POST", "/v2/nodes", &create).await,
        400,
        "Could not create a new Folder",
    );
    let rename = site
        .as_user(&ann, "PUT", &format!("/v2/nodes/{document}"), "name=b")
        .await;
    refused(&rename, 400, "invalid action 'update'");
    let delete = site
        .as_user(&ann, "DELETE", &format!("/v2/nodes/{document}"), "")
        .await;
    refused(&delete, 400, "invalid action 'delete'");
    site.cs
        .grant(site.folder, user, &["see_contents", "add_items"])
        .unwrap();
    let created = site.as_user(&ann, "POST", "/v2/nodes", &create).await;
    assert_eq!(created.status, 200);
    let own = site
        .as_user(
            &ann,
            "PUT",
            &format!("/v2/nodes/{}", id(&created)),
            "name=mine",
        )
        .await;
    assert_eq!(own.status, 200, "the creator owns it");
}

#[tokio::test]
async fn a_group_tells_its_members_and_a_user_the_own_groups() {
    let site = Site::new().await;
    let user = site.cs.ensure_user("ann", "secret");
    let names = |got: &Got| -> Vec<String> {
        let rows = got.json()["results"].as_array().unwrap().clone();
        let name = |row: &Value| {
            row["data"]["properties"]["name"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        rows.iter().map(name).collect()
    };
    let inside = names(&site.get("/v2/members/999/members?sort=name").await);
    assert!(inside.contains(&"ann".to_owned()), "{inside:?}");
    let first = site.get("/v2/members/999/members?sort=name&limit=1").await;
    assert_eq!(names(&first), inside[..1]);
    let total = first.json()["collection"]["paging"]["total_count"].clone();
    assert_eq!(total, inside.len());
    let of_user = site.get(&format!("/v2/members/{user}/members")).await;
    refused(&of_user, 500, &format!("Invalid group {user}"));
    let nobody = site.get("/v2/members/999999/members").await;
    refused(&nobody, 500, "Could not get a member for 999999");

    let ann = site.login("ann", "secret").await;
    let own = site.as_user(&ann, "GET", "/v2/members/memberof", "").await;
    let by_id = format!("/v2/members/{user}/memberof");
    assert_eq!(names(&own), names(&site.get(&by_id).await));
    assert!(!names(&own).is_empty());
}
