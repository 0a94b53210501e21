//! Failures of the two ends and of what lies between: sign-ins, folders, rights, proxies, TLS.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use longhaul::simulator::Options;
use longhaul::simulator::faults::{Action, Rule, System};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;

use super::{Golden, one, shelf, systems, with};
use crate::support::Systems;

/// A port that nobody listens on.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}

/// Answers every connection with this text, until the process ends.
fn answers(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 4096];
            // Whatever is asked, this is the answer; who asked may be gone by then.
            let _ = stream.read(&mut head);
            let _ = stream.write_all(text.as_bytes());
        }
    });
    address
}

/// A TLS server whose certificate is for `name`, and the PEM of who issued it.
fn tls(name: &str) -> (u16, String) {
    tls_from(name, 2020)
}

/// The same with a certificate that is valid from a year on.
fn tls_from(name: &str, year: i32) -> (u16, String) {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    params.not_before = rcgen::date_time_ymd(year, 1, 1);
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
        )
        .expect("a server");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut server = rustls::ServerConnection::new(Arc::clone(&config)).expect("a server");
            // The client refuses the certificate, so this never ends well.
            let _ = server.complete_io(&mut stream);
        }
    });
    (port, issuer.pem())
}

#[track_caller]
fn against(golden: &mut Golden, name: &'static str, systems: &Systems, code: i32) {
    let collection = systems.simulator.collection();
    golden.against(name, systems, &["archive", &collection, "--no-wait"], code);
}

#[test]
fn what_is_wrong_at_either_end_is_said_with_address_and_remedy() {
    let mut golden = Golden::new("ends.txt");
    let systems = systems(Options::with(one()));
    let collection = systems.simulator.collection();
    let (iconik, server) = (
        systems.simulator.iconik_url(),
        systems.simulator.content_server_url(),
    );
    with(&systems, "simulated-iconik-token", "another");
    against(&mut golden, "iconik refuses the token", &systems, 77);
    with(&systems, "password = \"simulated\"", "password = \"wrong\"");
    against(
        &mut golden,
        "Content Server refuses the password",
        &systems,
        77,
    );
    let free = format!("http://{}", nobody());
    with(&systems, &iconik, &free);
    against(&mut golden, "iconik unreachable", &systems, 69);
    with(&systems, &server, &format!("{free}/otcs/cs.exe"));
    against(&mut golden, "Content Server unreachable", &systems, 69);
    with(&systems, &iconik, &iconik.replace("http:", "https:"));
    against(&mut golden, "iconik speaks no TLS", &systems, 69);
    with(&systems, "/otcs/cs.exe", "/livelink/none.exe");
    against(
        &mut golden,
        "another program of Content Server",
        &systems,
        69,
    );
    with(&systems, &server, "https://host.invalid/otcs/cs.exe");
    against(&mut golden, "unknown host", &systems, 69);

    systems.configure(super::QUICK);
    let target = |node: &str| {
        vec![
            "archive".to_owned(),
            collection.clone(),
            "--target".into(),
            node.into(),
        ]
    };
    let mut to = |name, node: &str, code| {
        let arguments = target(node);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        golden.against(name, &systems, &arguments, code);
    };
    to("target folder gone", "999999", 2);
    to(
        "no right to add",
        &shelf(&systems.simulator).to_string(),
        77,
    );
    let staging = systems.simulator.connection_json()["content_server"]["staging"].to_string();
    with(
        &systems,
        &format!("staging = {staging}"),
        "staging = 999998",
    );
    against(&mut golden, "staging folder gone", &systems, 2);
    systems.configure(super::QUICK);

    for (name, system, code) in [
        ("a page of iconik's in place of data", System::Iconik, 69),
        (
            "a page of Content Server's in place of data",
            System::ContentServer,
            69,
        ),
    ] {
        let portal = Action::Html {
            code: 200,
            body: Some("<html>Welcome to the hotel</html>".into()),
            applied: false,
        };
        let id = systems
            .simulator
            .faults()
            .add(Rule::new(portal).on(system).always());
        against(&mut golden, name, &systems, code);
        systems.simulator.faults().remove(id);
    }
    let status = |code, body: &str| Action::Status {
        code,
        headers: Default::default(),
        body: body.into(),
        applied: false,
        read_body: true,
    };
    for (name, system, action, code) in [
        (
            "iconik forbids",
            System::Iconik,
            status(403, "{\"errors\":[\"Forbidden\"]}"),
            77,
        ),
        (
            "Content Server fails",
            System::ContentServer,
            status(500, "{\"error\":\"Out of memory\"}"),
            69,
        ),
    ] {
        let id = systems
            .simulator
            .faults()
            .add(Rule::new(action).on(system).always());
        against(&mut golden, name, &systems, code);
        systems.simulator.faults().remove(id);
    }
    systems.stop();
    golden.check(12);
}

#[test]
fn what_is_wrong_on_the_way_is_said_with_who_stands_in_it() {
    let mut golden = Golden::new("network.txt");
    let systems = systems(Options::with(one()));
    let collection = systems.simulator.collection();
    let archive = ["archive", collection.as_str(), "--no-wait"];
    let iconik = systems.simulator.iconik_url();
    // Loopback is not reached through a proxy, so the settings name a host beyond it.
    with(&systems, &iconik, "https://iconik.example.com");
    let proxy = |golden: &mut Golden, name, address: String, code| {
        let mut command = systems.place.bare();
        command
            .args(archive)
            .env("HTTPS_PROXY", format!("http://{address}"));
        golden.command(name, &systems.place, &archive, command, code);
    };
    proxy(&mut golden, "nobody at the proxy", nobody(), 69);
    let password = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"company\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    proxy(&mut golden, "proxy wants a password", answers(password), 69);
    let refused = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    proxy(&mut golden, "proxy refuses", answers(refused), 69);

    let (port, _) = tls("localhost");
    with(&systems, &iconik, &format!("https://localhost:{port}"));
    let said = |golden: &mut Golden, name| {
        golden.against(name, &systems, &archive, 69);
        golden.text = golden.text.replace(&port.to_string(), "PORT");
    };
    said(&mut golden, "private CA not known");
    let (port, pem) = tls("other.example.com");
    systems.place.write("ca.pem", &pem);
    let own = systems.simulator.settings_toml();
    let text = own.replacen(&iconik, &format!("https://localhost:{port}"), 1);
    systems.place.write(
        "longhaul.toml",
        &format!("{text}\n[network]\nca_file = \"ca.pem\"\n"),
    );
    golden.against("another host in the certificate", &systems, &archive, 69);
    golden.text = golden.text.replace(&port.to_string(), "PORT");
    let (port, pem) = tls_from("localhost", 2090);
    systems.place.write("ca.pem", &pem);
    let text = own.replacen(&iconik, &format!("https://localhost:{port}"), 1);
    systems.place.write(
        "longhaul.toml",
        &format!("{text}\n[network]\nca_file = \"ca.pem\"\n"),
    );
    golden.against("this machine's clock is behind", &systems, &archive, 69);
    golden.text = golden.text.replace(&port.to_string(), "PORT");
    systems.place.write("ca.pem", "not a certificate");
    golden.against("a CA file that is not PEM", &systems, &archive, 2);
    golden.text = golden.text.replace(&port.to_string(), "PORT");
    systems.stop();
    golden.check(7);
}
