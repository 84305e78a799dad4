//! Faults that a call asks for, to test how its workflow handles failures.
//!
//! Only a token that carries the mark [`crate::access::record::TokenRecord::inject_faults`] may ask, by the
//! header [`FAULT`]: `latency=2000, status=503, cut=1000`, each part optional.

/// The header; it never reaches an upstream.
pub const FAULT: &str = "x-token-manager-fault";
/// The longest delay, in ms.
pub const MAX_LATENCY_MS: u32 = 60_000;

/// The faults that a call asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Milliseconds to wait before anything else.
    pub latency_ms: u32,
    /// Status to respond with, 400 to 599, without calling the upstream.
    pub status: Option<u16>,
    /// Bytes after which the response is cut off.
    pub cut: Option<u64>,
}

/// The error for a text that does not describe faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not `latency=<0 to 60000>, status=<400 to 599>, cut=<bytes>`")]
pub struct InvalidFault;

impl Fault {
    /// Reads the value of [`FAULT`], such as `latency=500,status=503`.
    pub fn parse(text: &str) -> Result<Self, InvalidFault> {
        let mut fault = Self::default();
        for part in text.split(',') {
            let (name, value) = part.trim().split_once('=').ok_or(InvalidFault)?;
            let value: u64 = value.trim().parse().map_err(|_| InvalidFault)?;
            match name.trim() {
                "latency" if value <= MAX_LATENCY_MS.into() => {
                    fault.latency_ms = u32::try_from(value).map_err(|_| InvalidFault)?;
                }
                "status" if (400..600).contains(&value) => fault.status = u16::try_from(value).ok(),
                "cut" => fault.cut = Some(value),
                _ => return Err(InvalidFault),
            }
        }
        Ok(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_read_and_nothing_else() {
        assert_eq!(
            Fault::parse("latency=2000, status=503,cut=10"),
            Ok(Fault { latency_ms: 2_000, status: Some(503), cut: Some(10) })
        );
        assert_eq!(Fault::parse("cut=0"), Ok(Fault { cut: Some(0), ..Fault::default() }));
        for bad in ["", "latency", "latency=60001", "status=200", "status=600", "cut=-1", "magic=1"] {
            assert_eq!(Fault::parse(bad), Err(InvalidFault), "{bad}");
        }
    }
}
