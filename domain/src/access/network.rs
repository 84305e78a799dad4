//! Networks of an allow-list, and whether an address lies in one.
//!
//! An IPv4 client may arrive as `10.0.0.1` or, mapped into IPv6 (RFC 4291, section 2.5.5.2), as
//! `::ffff:10.0.0.1`. Both mean the same client, so both spellings of a network mean the same network.

use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The bits of `::ffff:0:0/96`, below which every IPv4 address lies.
const MAPPED_BITS: u8 = 96;
const MAPPED: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);

pub use crate::problem::InvalidNetwork;

/// Reads a network, or an address as a network of its own, in its canonical form: no bits behind the
/// prefix, and IPv4 for what is mapped into IPv6.
pub fn parse(text: &str) -> Result<IpNet, InvalidNetwork> {
    let text = text.trim();
    let net = IpNet::from_str(text).ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let net = canonical(net.ok_or(InvalidNetwork::Syntax)?);
    match net {
        // No client has such an address: its network would lock everybody out. `::/0` means any IPv6 client.
        IpNet::V6(v6) if v6.prefix_len() > 0 && v6.contains(&MAPPED) => Err(InvalidNetwork::Mapped),
        net => Ok(net),
    }
}

/// Whether `ip` lies in one of the networks, however either is written.
pub fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    networks.iter().any(|net| canonical(*net).contains(&ip))
}

/// Whether an allow-list admits a client. An empty one admits everybody, any other no client whose address is not known.
pub fn admits(networks: &[IpNet], client_ip: Option<IpAddr>) -> bool {
    networks.is_empty() || client_ip.is_some_and(|ip| contains(networks, ip))
}

/// Whether every address of `net` lies in one of the networks; an empty list holds all.
pub fn is_within(net: &IpNet, networks: &[IpNet]) -> bool {
    let net = canonical(*net);
    let holds = |wider: IpNet| wider.prefix_len() <= net.prefix_len() && wider.contains(&net.addr());
    networks.is_empty() || networks.iter().any(|wider| holds(canonical(*wider)))
}

fn canonical(net: IpNet) -> IpNet {
    let mapped = |net: ipnet::Ipv6Net| {
        let length = net.prefix_len().checked_sub(MAPPED_BITS)?;
        Ipv4Net::new(net.addr().to_ipv4_mapped()?, length).ok()
    };
    match net {
        IpNet::V6(v6) => mapped(v6).map_or(net, IpNet::V4).trunc(),
        IpNet::V4(_) => net.trunc(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(net: &str, ip: &str) -> bool {
        contains(&[net.parse().unwrap()], ip.parse().unwrap())
    }

    #[test]
    fn ipv4_mapped_networks_mean_ipv4() {
        for (text, wanted) in [
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::FFFF:a00:0/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.1.2.3/128", "10.1.2.3/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            (" 10.1.2.3 ", "10.1.2.3/32"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("64:ff9b::/96", "64:ff9b::/96"),
        ] {
            assert_eq!(parse(text).map(|net| net.to_string()).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn networks_that_would_lock_everybody_out_are_refused() {
        for text in ["::ffff:0:0/95", "::ffff:10.0.0.0/90", "::/80", "::/1", "::fffe:0:0/95"] {
            assert_eq!(parse(text), Err(InvalidNetwork::Mapped), "{text}");
        }
        for text in [
            "",
            "x",
            "fe80::1%eth0",
            "fe80::%1/64",
            "10.0.0.0/33",
            "10.0.0/8",
            "::ffff:10.0.0.0/129",
            "010.0.0.1",
        ] {
            assert_eq!(parse(text), Err(InvalidNetwork::Syntax), "{text}");
        }
    }

    #[test]
    fn a_network_lies_within_one_that_holds_each_of_its_addresses() {
        let within = |net: &str, wider: &[&str]| {
            let wider: Vec<IpNet> = wider.iter().map(|net| net.parse().unwrap()).collect();
            is_within(&net.parse().unwrap(), &wider)
        };
        assert!(within("0.0.0.0/0", &[]), "an empty list admits everybody");
        assert!(
            within("10.1.0.0/16", &["192.0.2.0/24", "10.0.0.0/8"]) && within("10.0.0.0/8", &["10.0.0.0/8"])
        );
        assert!(
            within("::ffff:10.1.0.0/112", &["10.0.0.0/8"]) && within("10.1.0.0/16", &["::ffff:10.0.0.0/104"])
        );
        assert!(!within("10.0.0.0/7", &["10.0.0.0/8", "11.0.0.0/8"]), "of two halves, neither holds it");
        assert!(!within("0.0.0.0/0", &["10.0.0.0/8"]) && !within("::/0", &["0.0.0.0/0"]));
        assert!(!within("10.0.0.0/8", &["::/0"]));
    }

    #[test]
    fn a_stored_entry_and_a_client_in_either_spelling_mean_the_same() {
        for net in ["10.0.0.0/8", "::ffff:10.0.0.0/104", "::ffff:10.9.9.9/104"] {
            for (ip, wanted) in
                [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("11.0.0.1", false), ("2001:db8::1", false)]
            {
                assert_eq!(holds(net, ip), wanted, "{ip} in {net}");
            }
        }
        assert!(holds("::ffff:0:0/96", "192.0.2.1") && !holds("::ffff:0:0/96", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1") && !holds("::/0", "::ffff:192.0.2.1"));
    }

    proptest! {
        /// Whatever is accepted is written back as itself and holds the same addresses.
        #[test]
        fn canonical_networks_stay_as_they_are(bits in any::<u32>(), length in 0_u8..=32, probe in any::<u32>()) {
            let plain = Ipv4Net::new(bits.into(), length).unwrap();
            let mapped = format!("::ffff:{}/{}", plain.addr(), 96 + length);
            let net = parse(&mapped).unwrap();
            prop_assert_eq!(net, IpNet::V4(plain.trunc()));
            prop_assert_eq!(parse(&net.to_string()), Ok(net));
            let ip = std::net::Ipv4Addr::from(probe);
            prop_assert_eq!(contains(&[mapped.parse().unwrap()], ip.into()), plain.contains(&ip));
        }
    }
}
