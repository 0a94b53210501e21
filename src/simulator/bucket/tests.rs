//! Reading by signed addresses.

use super::*;
use crate::simulator::faults::{Action, Rule, System};
use crate::simulator::server::{Config, Server};
use crate::simulator::testing::{Got, send};

async fn start(bucket: &Bucket, rules: Vec<Rule>) -> Server {
    let config = Config::new(System::Bucket);
    for rule in rules {
        config.faults.add(rule);
    }
    let server = Server::start(config, Arc::new(bucket.clone()))
        .await
        .unwrap();
    bucket.set_url(&server.url());
    server
}

fn bucket() -> (Bucket, Clock) {
    let clock = Clock::default();
    let bucket = Bucket::new(clock.clone(), 60_000);
    let object = Object::new(Master::generated(3, 1_000_000), "e1");
    bucket.put("Card/ü 1:2.mxf", object);
    (bucket, clock)
}

async fn ask(url: &str, headers: &[(&str, &str)]) -> Got {
    send("GET", url, headers, "").await.unwrap()
}

#[tokio::test]
async fn a_signed_get_brings_the_whole_object_or_a_range_of_it() {
    let (bucket, _) = bucket();
    let _server = start(&bucket, vec![]).await;
    let url = bucket.sign(Vendor::S3, "GET", "Card/ü 1:2.mxf", Some("a\"b.mxf"));
    let master = Master::generated(3, 1_000_000);
    let whole = ask(&url, &[]).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.body, master.read(ByteRange::new(0, 1_000_000)));
    assert_eq!(whole.header("etag"), Some("\"e1\""));
    assert_eq!(
        whole.header("content-disposition"),
        Some("attachment; filename=\"a'b.mxf\"")
    );
    assert!(whole.header("last-modified").is_some());
    for (asked, range) in [
        ("bytes=0-0", 0..1),
        ("bytes=999999-2000000", 999_999..1_000_000),
        ("bytes=-5", 999_995..1_000_000),
        ("bytes=300000-", 300_000..1_000_000),
    ] {
        let part = ask(&url, &[("range", asked)]).await;
        assert_eq!(part.status, 206, "{asked}");
        let expected = format!("bytes {}-{}/1000000", range.start, range.end - 1);
        assert_eq!(part.header("content-range"), Some(expected.as_str()));
        assert_eq!(
            part.body,
            master.read(ByteRange::new(range.start, range.end))
        );
    }
    let beyond = ask(&url, &[("range", "bytes=1000000-")]).await;
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), Some("bytes */1000000"));
    assert_eq!(ask(&url, &[("range", "bytes=0-1,5-6")]).await.status, 200);
}

#[tokio::test]
async fn conditions_pin_the_entity_tag() {
    let (bucket, _) = bucket();
    let _server = start(&bucket, vec![]).await;
    let url = bucket.sign(Vendor::S3, "GET", "Card/ü 1:2.mxf", None);
    let range = ("range", "bytes=0-9");
    assert_eq!(
        ask(&url, &[range, ("if-range", "\"e1\"")]).await.status,
        206
    );
    assert_eq!(
        ask(&url, &[range, ("if-range", "\"e2\"")]).await.status,
        200
    );
    assert_eq!(
        ask(&url, &[range, ("if-match", "\"e1\"")]).await.status,
        206
    );
    assert_eq!(
        ask(&url, &[range, ("if-match", "\"e2\"")]).await.status,
        412
    );
}

#[tokio::test]
async fn the_method_is_part_of_the_signature() {
    let (bucket, _) = bucket();
    let _server = start(&bucket, vec![]).await;
    let url = bucket.sign(Vendor::S3, "GET", "Card/ü 1:2.mxf", None);
    let head = send("HEAD", &url, &[], "").await.unwrap();
    assert_eq!(head.status, 403);
    let signed = bucket.sign(Vendor::S3, "HEAD", "Card/ü 1:2.mxf", None);
    let head = send("HEAD", &signed, &[], "").await.unwrap();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("1000000"))
    );
    let forged = url.replace("x-serial", "x-serjal");
    assert!(
        ask(&forged, &[])
            .await
            .text()
            .contains("SignatureDoesNotMatch")
    );
    assert_eq!(ask(url.split('?').next().unwrap(), &[]).await.status, 403);
}

#[tokio::test]
async fn an_address_expires_by_the_clock_by_its_use_or_by_a_fault() {
    let (bucket, clock) = bucket();
    let _server = start(&bucket, vec![Rule::new(Action::ExpireUrl).nth(2)]).await;
    let url = bucket.sign(Vendor::S3, "GET", "Card/ü 1:2.mxf", None);
    assert_eq!(ask(&url, &[]).await.status, 200);
    let refused = ask(&url, &[]).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused
            .text()
            .contains("<Message>Request has expired</Message>")
    );
    assert_eq!(ask(&url, &[]).await.status, 200);
    clock.advance(60_000);
    assert_eq!(ask(&url, &[]).await.status, 403);

    let mut object = bucket.get("Card/ü 1:2.mxf").unwrap();
    object.link_serves = Some(500_000);
    bucket.put("half", object);
    let first = bucket.sign(Vendor::S3, "GET", "half", None);
    assert_eq!(
        ask(&first, &[("range", "bytes=0-499999")]).await.status,
        206
    );
    assert_eq!(ask(&first, &[("range", "bytes=500000-")]).await.status, 403);
    let second = bucket.sign(Vendor::S3, "GET", "half", None);
    assert_eq!(
        ask(&second, &[("range", "bytes=500000-")]).await.status,
        206
    );
}

#[tokio::test]
async fn a_cold_object_is_refused_until_it_has_thawed() {
    let (bucket, clock) = bucket();
    let mut object = bucket.get("Card/ü 1:2.mxf").unwrap();
    object.temperature = Temperature::Cold;
    bucket.put("cold", object);
    let _server = start(&bucket, vec![]).await;
    let url = bucket.sign(Vendor::S3, "GET", "cold", None);
    assert!(ask(&url, &[]).await.text().contains("InvalidObjectState"));
    assert!(bucket.thaw("cold", 5_000));
    assert_eq!(ask(&url, &[]).await.status, 403);
    clock.advance(5_000);
    assert_eq!(ask(&url, &[]).await.status, 200);
    let gone = bucket.sign(Vendor::S3, "GET", "nothing", None);
    assert!(ask(&gone, &[]).await.text().contains("NoSuchKey"));
}

#[tokio::test]
async fn credentials_that_stray_to_the_bucket_are_counted() {
    let (bucket, _) = bucket();
    let _server = start(&bucket, vec![]).await;
    let url = bucket.sign(Vendor::S3, "GET", "Card/ü 1:2.mxf", None);
    ask(&url, &[]).await;
    assert_eq!(bucket.leaks(), 0);
    ask(&url, &[("Auth-Token", "x")]).await;
    assert_eq!(bucket.leaks(), 1);
}

#[tokio::test]
async fn google_takes_a_session_and_no_plain_put() {
    let (bucket, _) = bucket();
    let _server = start(&bucket, vec![]).await;
    let url = bucket.sign(Vendor::Google, "POST", "new", None);
    for (method, headers) in [
        ("PUT", &[][..]),
        ("PUT", &[("x-goog-resumable", "start")]),
        ("POST", &[]),
    ] {
        let refused = send(method, &url, headers, "").await.unwrap();
        assert_eq!(refused.status, 403, "{method}");
        assert!(refused.text().contains("SignatureDoesNotMatch"), "{method}");
    }
    let begin = [("x-goog-resumable", "start"), ("content-length", "0")];
    let begun = send("POST", &url, &begin, "").await.unwrap();
    assert_eq!(begun.status, 201);
    let session = begun.header("location").unwrap().to_owned();
    let put = async |range: &str, body: &'static [u8]| {
        let headers = [("content-range", range)];
        let got = send("PUT", &session, &headers, body).await.unwrap();
        let range = got.header("range").map(str::to_owned);
        (got.status, range)
    };
    assert_eq!(put("bytes */300000", b"").await, (308, None));
    static BODY: [u8; 300_000] = [7; 300_000];
    let (first, rest) = BODY.split_at(256 << 10);
    assert_eq!(
        put("bytes 0-99/300000", &first[..100]).await.0,
        400,
        "no whole step"
    );
    let there = (308, Some("bytes=0-262143".to_owned()));
    assert_eq!(put("bytes 0-262143/300000", first).await, there);
    assert_eq!(put("bytes */300000", b"").await, there);
    assert_eq!(
        put("bytes 262145-299999/300000", &rest[1..]).await.0,
        400,
        "a gap"
    );
    assert_eq!(put("bytes 262144-299999/300000", rest).await.0, 200);
    assert_eq!(put("bytes */300000", b"").await.0, 200);
    let made = bucket.get("new").unwrap().master;
    assert_eq!(made.read(ByteRange::new(0, made.size())), BODY);
    bucket.forget_sessions();
    assert_eq!(put("bytes */300000", b"").await.0, 404);
}

#[tokio::test]
async fn azure_takes_typed_blobs_and_lists_of_blocks_it_has() {
    let (bucket, _) = bucket();
    let _server = start(&bucket, vec![]).await;
    let url = bucket.sign(Vendor::Azure, "PUT", "new", None);
    let put = async |more: &str, headers: &[(&str, &str)], body: &'static str| {
        let url = format!("{url}{more}");
        let got = send("PUT", &url, headers, body).await.unwrap();
        (got.status, got.text())
    };
    let (status, text) = put("", &[], "bytes").await;
    assert_eq!(status, 400);
    assert!(text.contains("MissingRequiredHeader"), "{text}");
    let typed = ("x-ms-blob-type", "BlockBlob");
    let (status, text) = put("", &[typed, ("content-md5", "bm9uZQ==")], "bytes").await;
    assert_eq!(status, 400);
    assert!(text.contains("Md5Mismatch"), "{text}");
    assert_eq!(put("", &[typed], "bytes").await.0, 201);
    assert_eq!(put("&comp=block&blockid=YWE%3D", &[], "one").await.0, 201);
    assert_eq!(
        put("&comp=block&blockid=YWFhYWFh", &[], "x").await.0,
        400,
        "of another length"
    );
    let list = ask(
        &format!("{url}&comp=blocklist&blocklisttype=uncommitted"),
        &[],
    )
    .await;
    assert!(list.text().contains("<Name>YWE=</Name>"), "{}", list.text());
    let unknown = "<BlockList><Latest>YmI=</Latest></BlockList>";
    let (status, text) = put("&comp=blocklist", &[], unknown).await;
    assert_eq!(status, 400);
    assert!(text.contains("InvalidBlockList"), "{text}");
    let known = "<BlockList><Latest>YWE=</Latest></BlockList>";
    assert_eq!(put("&comp=blocklist", &[], known).await.0, 201);
    let made = bucket.get("new").unwrap().master;
    assert_eq!(made.read(ByteRange::new(0, made.size())), b"one");
    bucket.set_azure_may("cw");
    let blind = bucket.sign(Vendor::Azure, "PUT", "new", None);
    let refused = ask(&format!("{blind}&comp=blocklist"), &[]).await;
    assert_eq!(refused.status, 403);
    let forged = url.replace("sp=rcw", "sp=rcwd");
    assert!(
        ask(&forged, &[])
            .await
            .text()
            .contains("SignatureDoesNotMatch")
    );
}
