//! Access and refresh tokens over HTTP: rotation, replay, forgery, limits.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use plimsoll_testkit::{Options, PASSWORD, Reply, TestServer, backends};
use serde_json::{Value, json};
use sha2::Sha256;

/// What the tests configure as the installation's secret.
const SECRET: &[u8] = b"only the tests sign with this secret";
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_hours(24);

async fn login(s: &TestServer, email: &str, password: &str) -> Reply {
    let body = json!({"email": email, "password": password});
    s.anonymous().post("/api/v1/auth/login").json(&body).await
}

/// A person's tokens after signing in.
async fn session(s: &TestServer, email: &str) -> Value {
    login(s, email, PASSWORD).await.status(200).json()
}

async fn refresh(s: &TestServer, token: &Value) -> Reply {
    let body = json!({"refresh_token": token});
    s.anonymous().post("/api/v1/auth/refresh").json(&body).await
}

async fn status_of(s: &TestServer, access_token: &str) -> u16 {
    s.anonymous()
        .bearer(access_token)
        .get("/api/v1/users/me")
        .await
        .code()
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// The key for access tokens: HKDF (RFC 5869) with one block.
fn signing_key(secret: &[u8]) -> Vec<u8> {
    hmac(&hmac(b"plimsoll", secret), b"plimsoll access token 1\x01")
}

/// A JSON Web Signature in compact form (RFC 7515, section 3.1).
fn sign(header: &Value, claims: &Value, key: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(hmac(key, message.as_bytes()));
    format!("{message}.{signature}")
}

/// One of the first two parts of a token.
fn part(token: &str, index: usize) -> Value {
    let text = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

/// The same object with one member changed, or removed by `null`.
fn with(object: &Value, member: &str, value: Value) -> Value {
    let mut object = object.clone();
    if value.is_null() {
        object.as_object_mut().unwrap().remove(member);
    } else {
        object[member] = value;
    }
    object
}

backends! {
    /// F008
    async fn a_refresh_token_gives_tokens_and_nothing_else(s: TestServer) {
        s.user("ann").await;
        let first = session(&s, "ann@example.org").await;
        let second = refresh(&s, &first["refresh_token"]).await.status(200).json();
        assert_eq!((&second["token_type"], &second["expires_in"]), (&json!("bearer"), &json!(1800)));
        assert_eq!(second["user"]["email"], "ann@example.org");
        assert_ne!(second["access_token"], first["access_token"]);
        assert_ne!(second["refresh_token"], first["refresh_token"]);
        assert_eq!(status_of(&s, second["access_token"].as_str().unwrap()).await, 200);
        // Each kind is refused in the place of the other.
        let reply = refresh(&s, &second["access_token"]).await.status(401);
        reply.problem("unauthenticated");
        let as_access = s.anonymous().bearer(second["refresh_token"].as_str().unwrap());
        as_access.get("/api/v1/users/me").await.status(401).problem("unauthenticated");
        for unknown in ["", "plim_refresh_x", &"x".repeat(10_000)] {
            refresh(&s, &json!(unknown)).await.status(401).problem("unauthenticated");
        }
        for token in [&first, &second] {
            assert!(!s.stores(token["refresh_token"].as_str().unwrap()).await);
        }
    }

    /// F009
    async fn within_ten_seconds_a_lost_answer_is_given_again(s: TestServer) {
        s.user("ann").await;
        let first = session(&s, "ann@example.org").await;
        let second = refresh(&s, &first["refresh_token"]).await.status(200).json();
        s.advance(10 * SECOND);
        let again = refresh(&s, &first["refresh_token"]).await.status(200).json();
        assert_eq!(again["refresh_token"], second["refresh_token"]);
        refresh(&s, &second["refresh_token"]).await.status(200);
    }

    /// F009
    async fn two_refreshes_at_the_same_moment_give_the_same_successor(s: TestServer) {
        s.user("ann").await;
        let mut token = session(&s, "ann@example.org").await["refresh_token"].clone();
        for _ in 0..8 {
            let (one, two) = tokio::join!(refresh(&s, &token), refresh(&s, &token));
            let (one, two) = (one.status(200).json(), two.status(200).json());
            assert_eq!(one["refresh_token"], two["refresh_token"]);
            token = one["refresh_token"].clone();
        }
    }

    /// F009
    async fn a_replay_after_ten_seconds_revokes_the_family(s: TestServer) {
        s.user("ann").await;
        let other = session(&s, "ann@example.org").await;
        let first = session(&s, "ann@example.org").await;
        let second = refresh(&s, &first["refresh_token"]).await.status(200).json();
        s.advance(11 * SECOND);
        let reply = refresh(&s, &first["refresh_token"]).await.status(401);
        reply.problem("token-reused");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
        refresh(&s, &second["refresh_token"]).await.status(401);
        refresh(&s, &first["refresh_token"]).await.status(401);
        // Another sign-in of the same person is another family.
        refresh(&s, &other["refresh_token"]).await.status(200);
        assert!(s.log_text().contains("a refresh token was used twice"));
    }

    /// F009
    async fn only_the_immediate_predecessor_has_a_grace(s: TestServer) {
        s.user("ann").await;
        let first = session(&s, "ann@example.org").await;
        let second = refresh(&s, &first["refresh_token"]).await.status(200).json();
        let third = refresh(&s, &second["refresh_token"]).await.status(200).json();
        refresh(&s, &first["refresh_token"]).await.status(401).problem("token-reused");
        refresh(&s, &third["refresh_token"]).await.status(401);
    }

    /// F009
    async fn a_sign_in_ends_after_a_week_unused_and_after_thirty_days_at_last(s: TestServer) {
        s.user("ann").await;
        let mut token = session(&s, "ann@example.org").await["refresh_token"].clone();
        s.advance(7 * DAY);
        refresh(&s, &token).await.status(401).problem("unauthenticated");
        token = session(&s, "ann@example.org").await["refresh_token"].clone();
        for _ in 0..4 {
            s.advance(Duration::from_secs(7 * 86_400 - 1));
            let next = refresh(&s, &token).await.status(200).json();
            token = next["refresh_token"].clone();
        }
        s.advance(2 * DAY + 4 * SECOND);
        refresh(&s, &token).await.status(401).problem("unauthenticated");
    }

    /// F010
    async fn signing_out_ends_the_family(s: TestServer) {
        s.user("ann").await;
        let (first, other) = (session(&s, "ann@example.org").await, session(&s, "ann@example.org").await);
        let second = refresh(&s, &first["refresh_token"]).await.status(200).json();
        let logout = async |token: &Value| {
            let body = json!({"refresh_token": token});
            s.anonymous().post("/api/v1/auth/logout").json(&body).await
        };
        logout(&second["refresh_token"]).await.status(204);
        refresh(&s, &second["refresh_token"]).await.status(401);
        refresh(&s, &first["refresh_token"]).await.status(401);
        refresh(&s, &other["refresh_token"]).await.status(200);
        // Twice is once, and what never was is signed out already.
        logout(&second["refresh_token"]).await.status(204);
        logout(&json!("unknown")).await.status(204);
    }

    /// F011
    async fn an_expired_token_is_refused_with_its_own_word(s: TestServer) {
        s.user("ann").await;
        let token = session(&s, "ann@example.org").await["access_token"].as_str().unwrap().to_owned();
        // Thirty minutes, and thirty seconds for clocks that differ.
        s.advance(Duration::from_secs(30 * 60 + 29));
        assert_eq!(status_of(&s, &token).await, 200);
        s.advance(SECOND);
        let reply = s.anonymous().bearer(&*token).get("/api/v1/users/me").await.status(401);
        reply.problem("expired-token");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }

    /// F011
    async fn a_forged_or_tampered_token_is_refused(s: TestServer) {
        s.user("ann").await;
        let token = session(&s, "ann@example.org").await["access_token"].as_str().unwrap().to_owned();
        let (header, claims, key) = (part(&token, 0), part(&token, 1), signing_key(SECRET));
        let admin = s.admin().await.get("/api/v1/users/me").await.json()["id"].clone();
        let forged = sign(&header, &claims, &key);
        assert_eq!(status_of(&s, &forged).await, 200, "the test cannot sign, so it tests nothing");
        let now = claims["iat"].as_i64().unwrap();
        let mut refused = vec![
            ("another secret", sign(&header, &claims, &signing_key(b"another secret of enough length"))),
            ("the bare secret", sign(&header, &claims, SECRET)),
            ("an empty secret", sign(&header, &claims, b"")),
            ("no signature", format!("{}.", token.rsplit_once('.').unwrap().0)),
            ("two parts", token.rsplit_once('.').unwrap().0.to_owned()),
            ("four parts", format!("{token}.x")),
            ("too long", sign(&header, &with(&claims, "x", json!("x".repeat(4096))), &key)),
            ("not a token", "a.b.c".to_owned()),
        ];
        for algorithm in ["none", "None", "nOnE"] {
            let header = with(&header, "alg", json!(algorithm));
            let signed = sign(&header, &claims, &key);
            let unsigned = signed.rsplit_once('.').unwrap().0;
            refused.push(("alg none without a signature", format!("{unsigned}.")));
            refused.push(("alg none with a signature", signed.clone()));
        }
        for (member, value) in [
            ("alg", json!("HS512")), ("alg", json!("RS256")), ("alg", json!("ES256")), ("alg", Value::Null),
            ("typ", json!("JWT")), ("typ", Value::Null), ("crit", json!(["exp"])),
        ] {
            refused.push(("another header", sign(&with(&header, member, value), &claims, &key)));
        }
        for (member, value) in [
            ("aud", json!("another-api")), ("aud", json!([])), ("aud", Value::Null),
            ("iss", json!("somebody")), ("iss", Value::Null),
            ("type", json!("refresh")), ("type", Value::Null),
            ("sub", json!("usr_01JD3T9Q2G0000000000000000")), ("sub", json!("")), ("sub", Value::Null),
            ("nbf", json!(now + 31)), ("nbf", Value::Null),
            ("exp", json!("soon")), ("exp", Value::Null),
            ("epoch", json!(1)), ("epoch", json!(-1)), ("epoch", Value::Null),
        ] {
            refused.push((member, sign(&header, &with(&claims, member, value), &key)));
        }
        for (name, text) in refused {
            let reply = s.anonymous().bearer(&*text).get("/api/v1/users/me").await;
            assert_eq!(reply.code(), 401, "{name}: {text:.300}");
            reply.problem("unauthenticated");
            assert_eq!(reply.header("www-authenticate"), "Bearer");
        }
        // A role in the token is worth nothing: the account decides.
        let promoted = sign(&header, &with(&claims, "role", json!("admin")), &key);
        s.anonymous().bearer(&*promoted).get("/api/v1/users").await.status(403);
        let somebody_else = sign(&header, &with(&claims, "sub", admin), b"guessed");
        s.anonymous().bearer(&*somebody_else).get("/api/v1/users").await.status(401);
    }

    /// F011
    async fn a_token_with_any_flipped_character_is_refused(s: TestServer) {
        s.user("ann").await;
        let token = session(&s, "ann@example.org").await["access_token"].as_str().unwrap().to_owned();
        for index in (0..token.len()).step_by(7).chain([token.len() - 1]) {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(status_of(&s, &text).await, 401, "character {index}");
        }
    }

    /// F012
    async fn a_token_says_who_for_whom_and_how_long(s: TestServer) {
        let ann = s.user("ann").await;
        let id = ann.get("/api/v1/users/me").await.json()["id"].clone();
        let answer = session(&s, "ann@example.org").await;
        let token = answer["access_token"].as_str().unwrap();
        assert_eq!(part(token, 0), json!({"alg": "HS256", "typ": "at+jwt"}));
        let claims = part(token, 1);
        assert_eq!(claims["sub"], id);
        assert_eq!(claims["role"], "user");
        assert_eq!(claims["type"], "access");
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("plimsoll"), &json!("plimsoll-api")));
        let start = 1_767_225_600;
        assert_eq!((&claims["iat"], &claims["nbf"]), (&json!(start), &json!(start)));
        assert_eq!(claims["exp"], start + 1800);
        let other = session(&s, "ann@example.org").await;
        let jti = |answer: &Value| part(answer["access_token"].as_str().unwrap(), 1)["jti"].clone();
        assert_ne!(jti(&answer), jti(&other));
        let admin = s.admin().await;
        assert_eq!(part(admin.credential().unwrap(), 1)["role"], "admin");
    }

    /// F022
    #[options(Options::new().limits())]
    async fn an_address_signs_in_ten_times_a_minute(s: TestServer) {
        s.user("ann").await;
        for attempt in 1..10 {
            let email = format!("nobody{attempt}@example.org");
            login(&s, &email, "not the password").await.status(401);
        }
        // The right password is one more attempt, and so is any other account.
        let reply = login(&s, "ann@example.org", PASSWORD).await.status(429);
        let problem = reply.problem("rate-limited");
        assert_eq!((&problem["limit"], &problem["retry_after"]), (&json!(10), &json!(60)));
        assert_eq!(problem["reset"], "2026-01-01T00:01:00.000000Z");
        assert_eq!(reply.header("retry-after"), "60");
        assert_eq!(reply.header("x-ratelimit-limit"), "10");
        assert_eq!(reply.header("x-ratelimit-remaining"), "0");
        s.advance(59 * SECOND);
        login(&s, "ann@example.org", PASSWORD).await.status(429);
        s.advance(SECOND);
        login(&s, "ann@example.org", PASSWORD).await.status(200);
    }

    /// F022
    #[options(Options::new().limits())]
    async fn an_address_registers_five_times_an_hour(s: TestServer) {
        let register = async |name: &str| {
            let body = json!({"email": format!("{name}@example.org"), "password": PASSWORD});
            s.anonymous().post("/api/v1/auth/register").json(&body).await
        };
        for name in ["a", "b", "c", "d", "e"] {
            register(name).await.status(201);
        }
        let problem = register("f").await.status(429).problem("rate-limited");
        assert_eq!((&problem["limit"], &problem["retry_after"]), (&json!(5), &json!(3600)));
        login(&s, "a@example.org", PASSWORD).await.status(200);
        s.advance(Duration::from_hours(1));
        register("f").await.status(201);
    }

    /// F022
    #[options(Options::new().limits())]
    async fn an_address_refreshes_twenty_times_an_hour(s: TestServer) {
        s.user("ann").await;
        let mut token = session(&s, "ann@example.org").await["refresh_token"].clone();
        for _ in 0..20 {
            token = refresh(&s, &token).await.status(200).json()["refresh_token"].clone();
        }
        let problem = refresh(&s, &token).await.status(429).problem("rate-limited");
        assert_eq!((&problem["limit"], &problem["retry_after"]), (&json!(20), &json!(3600)));
        s.advance(Duration::from_hours(1));
        refresh(&s, &token).await.status(200);
    }

    /// F022
    #[options(Options::new().limits())]
    async fn wrong_passwords_make_the_next_attempt_wait_longer_and_longer(s: TestServer) {
        s.user("ann").await;
        s.user("bob").await;
        s.advance(60 * SECOND);
        for _ in 0..5 {
            login(&s, "ann@example.org", "not the password").await.status(401);
        }
        let problem = login(&s, "Ann@example.org", PASSWORD).await.status(429).problem("rate-limited");
        assert_eq!(problem["retry_after"], 5);
        s.advance(5 * SECOND);
        login(&s, "ann@example.org", "not the password").await.status(401);
        let problem = login(&s, "ann@example.org", PASSWORD).await.status(429).problem("rate-limited");
        assert_eq!(problem["retry_after"], 10);
        // The delay belongs to one account seen from one address.
        login(&s, "bob@example.org", PASSWORD).await.status(200);
        s.advance(10 * SECOND);
        login(&s, "ann@example.org", PASSWORD).await.status(200);
        s.advance(60 * SECOND);
        for _ in 0..4 {
            login(&s, "ann@example.org", "not the password").await.status(401);
        }
        login(&s, "ann@example.org", PASSWORD).await.status(200);
    }
}
