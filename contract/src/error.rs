//! The admin API's errors.

use domain::wire_errors;

wire_errors! {
    /// The admin API's errors.
    ApiError {
        BadRequest => (400, "bad-request", "Bad Request", "The request cannot be read."),
        Unauthenticated => (401, "unauthenticated", "Unauthenticated", "Send a session token, or an admin API key, as Authorization: Bearer."),
        SessionExpired => (401, "session-expired", "Session Expired", "The session has ended. Sign in again."),
        KeyExpired => (401, "key-expired", "Key Expired", "The admin API key, or this secret of it, has ended. Its maker can rotate it or make another."),
        InvalidApiKey => (401, "invalid-api-key", "Invalid API Key", "The token is not valid. It may be mistyped, disabled or revoked."),
        MissingApiKey => (401, "missing-api-key", "Missing API Key", "Send your token in X-API-Key."),
        TokenExpired => (401, "token-expired", "Token Expired", "The token, or this secret of it, has ended. Ask for a new one."),
        IpNotAllowed => (403, "ip-not-allowed", "Permission Denied", "The token or key may not be used from this address."),
        BadSignature => (401, "bad-signature", "Bad Signature", "The request's signature is missing, too old, or does not match."),
        Forbidden => (403, "forbidden", "Forbidden", "Your role does not allow this."),
        NotFound => (404, "not-found", "Not Found", "There is nothing here, or nothing that you may see."),
        MethodNotAllowed => (405, "method-not-allowed", "Method Not Allowed", "This address does not take this method."),
        Conflict => (409, "conflict", "Conflict", "This conflicts with an existing record."),
        PreconditionFailed => (412, "precondition-failed", "Precondition Failed", "Somebody else has changed this since you read it. Read it again."),
        PayloadTooLarge => (413, "payload-too-large", "Payload Too Large", "The body is larger than is accepted."),
        ValidationFailed => (422, "validation-failed", "Validation Failed", "Some fields are not acceptable."),
        TooManyRequests => (429, "too-many-requests", "Too Many Requests", "Too many requests within a minute. Wait as long as Retry-After says."),
        InternalServerError => (500, "internal-server-error", "Internal Server Error", "Something went wrong. Quote the request id when you report it."),
        ClerkUnavailable => (502, "clerk-unavailable", "Clerk Unavailable", "Clerk cannot be reached, or refuses our key. Try again shortly."),
        StoreUnavailable => (503, "store-unavailable", "Store Unavailable", "The database cannot be reached. Try again shortly."),
        RestoreUnderWay => (503, "restore-under-way", "Store Unavailable", "The database is being restored, and a change would be lost. Try again in some minutes."),
    }
}
