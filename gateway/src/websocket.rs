//! Web sockets. The token is checked at the upgrade; afterwards messages pass both ways until one side
//! closes. A socket counts as one call, with its bytes and its duration.

use domain::access::carrier::Carrier;
use futures_util::{StreamExt, future::Either, future::select};
use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{BinaryType, Response};
use worker::{Error, Result, WebSocket, WebSocketPair, WebsocketEvent};

/// Close codes that mean that there was none, and cannot be sent (RFC 6455, section 7.4.1).
const UNSENDABLE: [u16; 3] = [1005, 1006, 1015];

/// Returns the upstream's side of an upgrade. `None` if the upstream refused to upgrade.
pub fn of(response: &Response) -> Option<WebSocket> {
    let socket = Reflect::get(response, &"webSocket".into()).ok().filter(JsValue::is_object)?;
    Some(WebSocket::from(socket.unchecked_into::<web_sys::WebSocket>()))
}

/// Bytes of the messages that passed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// Both sides of a WebSocket, before the first message.
#[derive(Debug)]
pub struct Joined {
    client: WebSocket,
    upstream: WebSocket,
}

/// Makes the 101 for the client, and the two sides between which messages will pass.
pub fn join(upstream: WebSocket, answer: &Response, offered: Option<&str>) -> Result<(Response, Joined)> {
    let WebSocketPair { client, server } = WebSocketPair::new()?;
    let response: Response = worker::Response::from_websocket(client)?.into();
    let header = Carrier::WebSocketProtocol.header();
    let chosen = answer.headers().get(header).map_err(Error::from)?;
    // A browser that offered protocols expects one of them back. If the upstream chose none, it may have
    // been offered only ours.
    let own = || offered?.split(',').map(str::trim).find(|p| *p == OWN_PROTOCOL).map(str::to_owned);
    if let Some(protocol) = chosen.or_else(own) {
        response.headers().set(header, &protocol).map_err(Error::from)?;
    }
    Ok((response, Joined { client: server, upstream }))
}

/// The protocol that a browser offers beside its token if the upstream knows none:
/// `new WebSocket(url, ["token-manager", "ntk_…"])`.
const OWN_PROTOCOL: &str = "token-manager";

/// Passes messages both ways until one side closes or fails.
pub async fn pass(Joined { client, upstream }: Joined) -> Traffic {
    let mut traffic = Traffic::default();
    // A `Blob` would have to be read first.
    for socket in [&client, &upstream] {
        socket.as_ref().set_binary_type(BinaryType::Arraybuffer);
    }
    // Listen before accepting, so that no message is missed.
    let (Ok(mut from_client), Ok(mut from_upstream)) = (client.events(), upstream.events()) else {
        return traffic;
    };
    if client.accept().is_err() || upstream.accept().is_err() {
        return traffic;
    }
    loop {
        let (event, to, count) = match select(from_client.next(), from_upstream.next()).await {
            Either::Left((event, _)) => (event, &upstream, &mut traffic.bytes_in),
            Either::Right((event, _)) => (event, &client, &mut traffic.bytes_out),
        };
        let sent = match event {
            Some(Ok(WebsocketEvent::Message(message))) => {
                if let Some(text) = message.text() {
                    *count += u64::try_from(text.len()).unwrap_or(0);
                    to.send_with_str(text)
                } else {
                    let bytes = message.bytes().unwrap_or_default();
                    *count += u64::try_from(bytes.len()).unwrap_or(0);
                    to.send_with_bytes(bytes)
                }
            }
            Some(Ok(WebsocketEvent::Close(close))) => {
                let code = Some(close.code()).filter(|code| !UNSENDABLE.contains(code));
                let reason = code.map(|_| close.reason());
                // The other side may have closed already.
                let _ = to.close(code, reason);
                return traffic;
            }
            Some(Err(_)) | None => {
                let _ = to.close(Some(1011), Some("the other side broke off"));
                return traffic;
            }
        };
        if sent.is_err() {
            return traffic;
        }
    }
}
