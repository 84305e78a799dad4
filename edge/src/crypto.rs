//! WebCrypto: randomness, AES-256-GCM for credentials, RS256 for sessions and service accounts.
//!
//! The platform's own primitives are native code. In wasm they would be slower and larger.

use domain::credential::Credential;
use domain::credential::seal::{SealedCredential, associated_data};
use domain::id::RouteId;
use domain::keys::{Key256, KeyRing};
use domain::secret::Secret;
use js_sys::{Array, ArrayBuffer, Object, Reflect, Uint8Array};
use std::cell::RefCell;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Crypto, CryptoKey, SubtleCrypto, WorkerGlobalScope};

/// The reason why a cryptographic step failed. Holds no key and no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The platform does not offer it.
    #[error("WebCrypto is not available")]
    Unavailable,
    /// The key has the wrong form.
    #[error("the key cannot be used")]
    Key,
    /// No key of the ring opens the credential for this route and origin.
    #[error("the sealed credential cannot be opened")]
    Open,
    /// The credential has no plaintext, or the platform cannot encrypt it.
    #[error("the credential cannot be sealed")]
    Seal,
}

fn crypto() -> Result<Crypto, CryptoError> {
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    scope.crypto().map_err(|_| CryptoError::Unavailable)
}

fn subtle() -> Result<SubtleCrypto, CryptoError> {
    crypto().map(|crypto| crypto.subtle())
}

/// Returns random bytes from the platform's CSPRNG.
pub fn random<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut bytes = [0; N];
    crypto()?.get_random_values_with_u8_array(&mut bytes).map_err(|_| CryptoError::Unavailable)?;
    Ok(bytes)
}

/// Returns random bytes for names of calls, from a store that is filled a hundred calls at a time. Bytes are used once.
pub fn pooled<const N: usize>() -> Result<[u8; N], CryptoError> {
    thread_local!(static POOL: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
    POOL.with_borrow_mut(|pool| {
        if pool.len() < N {
            *pool = random::<4096>()?.to_vec();
        }
        let bytes = pool.split_off(pool.len().saturating_sub(N));
        bytes.try_into().map_err(|_| CryptoError::Unavailable)
    })
}

fn object(pairs: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (name, value) in pairs {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object
}

fn bytes(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

fn to_vec(buffer: JsValue) -> Result<Vec<u8>, CryptoError> {
    buffer
        .dyn_into::<ArrayBuffer>()
        .map(|b| Uint8Array::new(&b).to_vec())
        .map_err(|_| CryptoError::Unavailable)
}

/// Returns the SHA-256 of bytes in lower-case hex. The bytes stay in the runtime's memory.
pub async fn sha256_hex(bytes: &Uint8Array) -> Result<String, CryptoError> {
    let promise = subtle()?
        .digest_with_str_and_buffer_source("SHA-256", bytes)
        .map_err(|_| CryptoError::Unavailable)?;
    let digest = to_vec(JsFuture::from(promise).await.map_err(|_| CryptoError::Unavailable)?)?;
    Ok(domain::encoding::hex(&digest))
}

async fn import(
    format: &str,
    data: &Object,
    algorithm: &Object,
    usage: &str,
) -> Result<CryptoKey, CryptoError> {
    let usages = Array::of1(&usage.into());
    let promise = subtle()?
        .import_key_with_object(format, data, algorithm, false, &usages)
        .map_err(|_| CryptoError::Key)?;
    JsFuture::from(promise).await.map_err(|_| CryptoError::Key)?.dyn_into().map_err(|_| CryptoError::Key)
}

async fn aes_key(key: &Key256, usage: &str) -> Result<CryptoKey, CryptoError> {
    let raw = Uint8Array::from(key.expose().as_slice());
    import("raw", &raw, &object(&[("name", "AES-GCM".into())]), usage).await
}

fn aes_gcm(iv: &[u8], associated: &[u8]) -> Object {
    object(&[
        ("name", "AES-GCM".into()),
        ("iv", bytes(iv)),
        ("additionalData", bytes(associated)),
        ("tagLength", 128.into()),
    ])
}

/// Seals a credential to one route and one origin, under the ring's first key.
pub async fn seal(
    credential: &Credential,
    route: &RouteId,
    origin: &str,
    keys: &KeyRing,
) -> Result<SealedCredential, CryptoError> {
    let plaintext = credential.to_plaintext().ok_or(CryptoError::Seal)?;
    seal_text(&plaintext, &associated_data(route, origin), keys).await
}

/// Seals a text to what it is bound to (`associated`), under the ring's first key.
pub async fn seal_text(
    plaintext: &Secret,
    associated: &[u8],
    keys: &KeyRing,
) -> Result<SealedCredential, CryptoError> {
    let iv = random::<12>()?;
    let key = aes_key(keys.first(), "encrypt").await?;
    let promise = subtle()?
        .encrypt_with_object_and_u8_array(&aes_gcm(&iv, associated), &key, plaintext.expose().as_bytes())
        .map_err(|_| CryptoError::Seal)?;
    let ciphertext = to_vec(JsFuture::from(promise).await.map_err(|_| CryptoError::Seal)?)?;
    Ok(SealedCredential { iv, ciphertext })
}

/// Opens a credential with any key of the ring. Fails if route or origin is not the one that it was
/// sealed to.
pub async fn open(
    sealed: &SealedCredential,
    route: &RouteId,
    origin: &str,
    keys: &KeyRing,
) -> Result<Credential, CryptoError> {
    let plaintext = open_text(sealed, &associated_data(route, origin), keys).await?;
    Credential::from_plaintext(plaintext.expose().as_bytes()).ok_or(CryptoError::Open)
}

/// Seals a text under the ring's first key again, whatever version has written it.
pub async fn reseal(
    sealed: &SealedCredential,
    associated: &[u8],
    keys: &KeyRing,
) -> Result<SealedCredential, CryptoError> {
    seal_text(&open_text(sealed, associated, keys).await?, associated, keys).await
}

/// Opens a text with any key of the ring. Fails if it is bound to something else.
pub async fn open_text(
    sealed: &SealedCredential,
    associated: &[u8],
    keys: &KeyRing,
) -> Result<Secret, CryptoError> {
    let parameters = aes_gcm(&sealed.iv, associated);
    for key in keys.iter() {
        let key = aes_key(key, "decrypt").await?;
        let promise = subtle()?
            .decrypt_with_object_and_u8_array(&parameters, &key, &sealed.ciphertext)
            .map_err(|_| CryptoError::Open)?;
        if let Ok(plaintext) = JsFuture::from(promise).await {
            return String::from_utf8(to_vec(plaintext)?).map(Secret::new).map_err(|_| CryptoError::Open);
        }
    }
    Err(CryptoError::Open)
}

/// Returns the signature over `text` with a private key in PKCS#8 (RSASSA-PKCS1-v1_5 with SHA-256).
pub async fn sign_rs256(key: &[u8], text: &str) -> Result<Vec<u8>, CryptoError> {
    let algorithm = rs256();
    let key = import("pkcs8", &Uint8Array::from(key), &algorithm, "sign").await?;
    let promise = subtle()?
        .sign_with_object_and_u8_array(&algorithm, &key, text.as_bytes())
        .map_err(|_| CryptoError::Unavailable)?;
    to_vec(JsFuture::from(promise).await.map_err(|_| CryptoError::Key)?)
}

fn rs256() -> Object {
    object(&[("name", "RSASSA-PKCS1-v1_5".into()), ("hash", "SHA-256".into())])
}

/// A public key for RS256.
#[derive(Debug)]
pub enum PublicKey<'a> {
    /// A JWK (RFC 7518, section 6.3.1), its numbers in base64url.
    Jwk {
        /// Modulus.
        n: &'a str,
        /// Exponent.
        e: &'a str,
    },
    /// DER of a `SubjectPublicKeyInfo`.
    Spki(&'a [u8]),
}

/// Checks `signature` over `signed` with `key` (RSASSA-PKCS1-v1_5 with SHA-256).
pub async fn verify_rs256(key: &PublicKey<'_>, signed: &[u8], signature: &[u8]) -> Result<bool, CryptoError> {
    let algorithm = rs256();
    let key = match key {
        PublicKey::Jwk { n, e } => {
            let jwk = object(&[("kty", "RSA".into()), ("n", (*n).into()), ("e", (*e).into())]);
            import("jwk", &jwk, &algorithm, "verify").await?
        }
        PublicKey::Spki(der) => import("spki", &Uint8Array::from(*der), &algorithm, "verify").await?,
    };
    let promise = subtle()?
        .verify_with_object_and_u8_array_and_u8_array(&algorithm, &key, signature, signed)
        .map_err(|_| CryptoError::Unavailable)?;
    let holds = JsFuture::from(promise).await.map_err(|_| CryptoError::Unavailable)?;
    Ok(holds.as_bool() == Some(true))
}
