//! Which hosts and addresses a request may reach.
//!
//! An address that a person typed is trusted, private or not. One that an API returned is
//! guarded: TLS only, and no way into this machine, its network or a cloud's metadata service,
//! however the address is spelled and whatever a name resolves to at the moment of connecting.
//! Behind a proxy the proxy resolves names; literal addresses are still judged here, and names as
//! far as this machine can resolve them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{Config, Error, Origin};

/// Stands for this machine in `plain_http`.
const LOOPBACK: &str = "loopback";

/// The rules, read once.
#[derive(Debug)]
pub(super) struct Guard {
    allow: Vec<IpNet>,
    trusted: Vec<String>,
    plain: Vec<String>,
    loopback: bool,
}

impl Guard {
    /// Reads the rules.
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let allow = config
            .allow
            .iter()
            .map(|text| {
                let text = text.trim();
                text.parse::<IpNet>()
                    .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                    .map_err(|_| {
                        Error::Config(format!(
                            "network.allow: {text:?} is no address range; write it as 10.1.0.0/16"
                        ))
                    })
            })
            .collect::<Result<_, _>>()?;
        let hosts = |list: &[String]| {
            list.iter()
                .map(|host| host.trim().to_ascii_lowercase())
                .collect()
        };
        let mut plain: Vec<String> = hosts(&config.plain_http);
        let listed = plain.len();
        plain.retain(|host| host != LOOPBACK);
        Ok(Self {
            allow,
            trusted: hosts(&config.trusted_hosts),
            loopback: plain.len() < listed,
            plain,
        })
    }

    /// Refuses an origin without TLS that needs it.
    pub(super) fn check_scheme(&self, origin: &Origin, guarded: bool) -> Result<(), Error> {
        let plain = origin.scheme() == "https"
            || lists(&self.plain, origin)
            || (is_loopback(origin.host()) && (!guarded || self.loopback));
        if plain {
            return Ok(());
        }
        Err(Error::PlainHttp {
            host: origin.authority(),
            guarded,
        })
    }

    /// Whether a guarded request may reach that origin whatever its address.
    pub(super) fn trusts(&self, origin: &Origin) -> bool {
        lists(&self.trusted, origin) || (self.loopback && is_loopback(origin.host()))
    }

    /// Refuses a literal address as `host` that is not public.
    pub(super) fn check_literal(&self, host: &str) -> Result<(), Error> {
        match literal(host) {
            Some(address) => self.check_address(host, address),
            None => Ok(()),
        }
    }

    /// Refuses an address that is neither public nor allowed.
    pub(super) fn check_address(&self, host: &str, address: IpAddr) -> Result<(), Error> {
        let address = address.to_canonical();
        let Some(why) = refusal(address) else {
            return Ok(());
        };
        if self.allow.iter().any(|range| range.contains(&address)) {
            return Ok(());
        }
        Err(Error::RefusedAddress {
            host: host.to_owned(),
            address: address.to_string(),
            why,
        })
    }
}

/// Whether a list of `host` and `host:port` names an origin.
fn lists(list: &[String], origin: &Origin) -> bool {
    let bare = origin.host().trim_matches(['[', ']']);
    let authority = origin.authority();
    list.iter()
        .any(|entry| entry == origin.host() || entry == bare || *entry == authority)
}

/// The address in a URL's host, when it is one. `url` has already turned decimal, octal,
/// hexadecimal and shortened spellings into dotted ones.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Whether a host is this machine by its very spelling.
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || literal(host).is_some_and(|address| address.to_canonical().is_loopback())
}

/// Why an address is not on the public internet; `None` when it is.
///
/// Source: the IANA special-purpose address registries for IPv4 and IPv6.
fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    Some(match address.octets() {
        [169, 254, 169, 254] | [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => {
            "a cloud's metadata service"
        }
        [0, ..] => "an address of this network",
        [127, ..] => "this machine itself",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [100, 64..=127, ..] => "an address behind a carrier's NAT",
        [169, 254, ..] => "a link-local address",
        [192, 0, 0, _] | [192, 88, 99, _] => "an address of a transition protocol",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18..=19, ..] => {
            "an address for examples and tests"
        }
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved address",
        _ => return None,
    })
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [a, b, c, ..] = address.segments();
    let embedded = |at: usize| {
        let octets = address.octets();
        Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3])
    };
    Some(match (a, b, c) {
        _ if address.is_loopback() => "this machine itself",
        _ if address.is_unspecified() => "an address of this network",
        // NAT64: as public as the IPv4 address inside.
        (0x0064, 0xff9b, 0) => return refusal_v4(embedded(12)),
        (0x0064, 0xff9b, _) | (0x2002, ..) => "an address of a transition protocol",
        (0, ..) => "an IPv4 address in disguise",
        (0x0100, 0, _) | (0x2001, 0x0db8, _) | (0x3fff, 0..=0x0fff, _) => {
            "an address for examples and tests"
        }
        (0x2001, 0..=0x01ff, _) | (0x5f00, ..) => "an address of a special protocol",
        (0xfc00..=0xfdff, ..) => "a private address",
        (0xfe80..=0xfebf, ..) => "a link-local address",
        (0xfec0..=0xfeff, ..) => "a private address",
        (0xff00.., ..) => "a multicast address",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn guard(config: Config) -> Guard {
        Guard::new(&config).unwrap()
    }

    fn origin(url: &str) -> Origin {
        Origin::of(&Url::parse(url).unwrap()).unwrap()
    }

    #[track_caller]
    fn check(guard: &Guard, host: &str, passes: bool) {
        let origin = origin(&format!("https://{host}/"));
        let verdict = guard.check_literal(origin.host());
        assert_eq!(
            verdict.is_ok(),
            passes,
            "{host} is {}: {verdict:?}",
            origin.host()
        );
        if passes {
            assert!(literal(origin.host()).is_some(), "{host} is no literal");
        }
    }

    #[test]
    fn no_spelling_of_a_private_address_gets_past() {
        let guard = guard(Config::default());
        for host in [
            // this machine
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "017700000001",
            "0177.0.0.1",
            "127.000.000.001",
            "127.255.255.254",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[::ffff:0:127.0.0.1]",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "127。0。0。1",
            "①②⑦.0.0.1",
            // this network
            "0",
            "0.0.0.0",
            "0.1.2.3",
            "[::]",
            "[::ffff:0.0.0.0]",
            // private
            "10.0.0.1",
            "10.1",
            "0xa000001",
            "167772161",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.168.257",
            "0300.0250.1.1",
            "[::ffff:10.0.0.1]",
            "[::ffff:c0a8:101]",
            "[fc00::1]",
            "[fd12:3456:789a::1]",
            "[fd00:ec2::254]",
            "[fec0::1]",
            "[64:ff9b::10.0.0.1]",
            "[2002:0a00:0001::1]",
            "[2002:7f00:1::]",
            // carrier, link-local, metadata
            "100.64.0.1",
            "100.127.255.255",
            "100.100.100.200",
            "169.254.0.1",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "0251.0376.0251.0376",
            "[::ffff:169.254.169.254]",
            "[fe80::1]",
            "[febf::1]",
            "168.63.129.16",
            "192.0.0.192",
            // everything else that is not the internet
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.9",
            "198.18.0.1",
            "198.19.255.255",
            "192.0.0.1",
            "192.88.99.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "[ff02::1]",
            "[100::1]",
            "[2001:db8::1]",
            "[2001::1]",
            "[2001:10::1]",
            "[64:ff9b:1::1]",
            "[3fff::1]",
        ] {
            check(&guard, host, false);
        }
        for host in [
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "192.167.1.1",
            "11.0.0.1",
            "223.255.255.255",
            "[2606:4700::1111]",
            "[::ffff:8.8.8.8]",
            "[64:ff9b::8.8.8.8]",
            "[2001:4860:4860::8888]",
        ] {
            check(&guard, host, true);
        }
    }

    #[test]
    fn twenty_private_addresses_in_twelve_spellings_each_are_refused() {
        let guard = guard(Config::default());
        let mut tried = 0;
        for [a, b, c, d] in [
            [0, 0, 0, 0],
            [0, 0, 0, 1],
            [10, 0, 0, 1],
            [10, 255, 255, 255],
            [100, 64, 0, 1],
            [100, 100, 100, 200],
            [127, 0, 0, 1],
            [127, 0, 0, 53],
            [127, 255, 255, 255],
            [168, 63, 129, 16],
            [169, 254, 0, 1],
            [169, 254, 169, 254],
            [169, 254, 170, 2],
            [172, 16, 0, 1],
            [172, 31, 255, 254],
            [192, 0, 0, 192],
            [192, 168, 0, 1],
            [192, 168, 255, 255],
            [224, 0, 0, 251],
            [255, 255, 255, 255],
        ] {
            let whole = u32::from_be_bytes([a, b, c, d]);
            let tail = u32::from_be_bytes([0, b, c, d]);
            let (high, low) = (whole >> 16, whole & 0xffff);
            for host in [
                format!("{a}.{b}.{c}.{d}"),
                format!("{a}.{b}.{c}.{d}."),
                format!("{whole}"),
                format!("0x{whole:08X}"),
                format!("0{whole:o}"),
                format!("{a}.{tail}"),
                format!("{a}.{b}.{low}"),
                format!("0x{a:x}.0{b:o}.{c}.0x{d:x}"),
                format!(
                    "%{:02x}{}",
                    a.to_string().as_bytes()[0],
                    &format!("{a}.{b}.{c}.{d}")[1..]
                ),
                format!("[::ffff:{a}.{b}.{c}.{d}]"),
                format!("[::ffff:{high:x}:{low:x}]"),
                format!("[64:ff9b::{high:x}:{low:x}]"),
            ] {
                check(&guard, &host, false);
                tried += 1;
            }
        }
        assert!(tried >= 200, "{tried} spellings");
    }

    #[test]
    fn private_ranges_open_by_cidr_and_only_those() {
        let guard = guard(Config {
            allow: vec![
                "10.20.0.0/16".into(),
                "192.168.7.7".into(),
                "fd00::/8".into(),
            ],
            ..Config::default()
        });
        check(&guard, "10.20.3.4", true);
        check(&guard, "[::ffff:10.20.3.4]", true);
        check(&guard, "192.168.7.7", true);
        check(&guard, "[fd12::1]", true);
        check(&guard, "10.21.3.4", false);
        check(&guard, "192.168.7.8", false);
        let wrong = Guard::new(&Config {
            allow: vec!["10.0.0.0/99".into()],
            ..Config::default()
        });
        assert!(matches!(wrong, Err(Error::Config(_))));
    }

    #[test]
    fn plain_http_is_for_listed_hosts_and_for_typed_loopback_addresses() {
        let strict = guard(Config::default());
        let typed = |url: &str| strict.check_scheme(&origin(url), false).is_ok();
        assert!(typed("https://cs.example"));
        assert!(typed("http://127.0.0.1:8080"));
        assert!(typed("http://localhost:8080"));
        assert!(typed("http://[::1]:8080"));
        assert!(!typed("http://cs.example"));
        assert!(!typed("http://localhost.evil.test"));
        assert!(!typed("http://10.0.0.1"));
        assert!(
            strict
                .check_scheme(&origin("http://127.0.0.1:1"), true)
                .is_err()
        );

        let open = guard(Config {
            plain_http: vec![
                "CS.example".into(),
                "mam.example:8080".into(),
                "loopback".into(),
            ],
            ..Config::default()
        });
        let guarded = |url: &str| open.check_scheme(&origin(url), true).is_ok();
        assert!(guarded("http://cs.example:81"));
        assert!(guarded("http://mam.example:8080"));
        assert!(!guarded("http://mam.example"));
        assert!(guarded("http://127.0.0.1:9000"));
        assert!(!guarded("http://loopback/"));
    }

    #[test]
    fn a_name_that_resolves_to_loopback_is_not_trusted_with_it() {
        let open = guard(Config {
            plain_http: vec!["loopback".into()],
            trusted_hosts: vec!["files.corp".into(), "minio.corp:9000".into()],
            ..Config::default()
        });
        assert!(open.trusts(&origin("http://127.0.0.1:9000")));
        assert!(open.trusts(&origin("https://files.corp")));
        assert!(open.trusts(&origin("https://minio.corp:9000")));
        assert!(!open.trusts(&origin("https://minio.corp")));
        assert!(!open.trusts(&origin("https://rebind.evil.test")));
        let loopback = IpAddr::from([127, 0, 0, 1]);
        assert!(open.check_address("rebind.evil.test", loopback).is_err());
    }
}
