//! Accounts over HTTP: registering, signing in, one's own data, administrators.

use std::path::Path;
use std::time::Duration;

use plimsoll_core::key::Scope;
use plimsoll_testkit::{Client, Options, PASSWORD, Reply, TestServer, backends, fixture};
use serde_json::{Value, json};

const MODEL: &str = "sklearn/1.5.2/iris_logistic.joblib";
const ROW: [f64; 4] = [5.1, 3.5, 1.4, 0.2];

async fn register(s: &TestServer, email: &str) -> Reply {
    let body = json!({"email": email, "password": PASSWORD});
    s.anonymous()
        .post("/api/v1/auth/register")
        .json(&body)
        .await
}

async fn login(s: &TestServer, email: &str, password: &str) -> Reply {
    let body = json!({"email": email, "password": password});
    s.anonymous().post("/api/v1/auth/login").json(&body).await
}

/// A problem without what differs from request to request.
fn without_request(mut problem: Value) -> Value {
    let members = problem.as_object_mut().unwrap();
    members.remove("instance");
    members.remove("request_id");
    problem
}

/// Pointers of the fields that a problem names.
fn pointers(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect()
}

/// How many files of models are stored.
fn artifacts(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .map(|path| if path.is_dir() { artifacts(&path) } else { 1 })
        .sum()
}

async fn id_of(client: &Client) -> String {
    let me = client.get("/api/v1/users/me").await.status(200).json();
    me["id"].as_str().unwrap().to_owned()
}

async fn switch(admin: &Client, user: &str, on: bool) {
    let path = format!("/api/v1/users/{user}");
    admin
        .patch(&path)
        .json(&json!({"is_active": on}))
        .await
        .status(200);
}

backends! {
    /// F001
    async fn registering_makes_an_account_and_never_shows_the_password(s: TestServer) {
        let body = json!({"email": "Ann@Example.org", "password": PASSWORD, "full_name": "Ann Ax"});
        let reply = s.anonymous().post("/api/v1/auth/register").json(&body).await.status(201);
        let user = reply.json();
        assert!(user["id"].as_str().unwrap().starts_with("usr_"));
        assert_eq!(user["email"], "ann@example.org");
        assert_eq!(user["full_name"], "Ann Ax");
        assert_eq!(user["is_active"], true);
        assert_eq!(user["is_admin"], false);
        assert_eq!(user["created_at"], "2026-01-01T00:00:00.000000Z");
        assert!(!reply.text().contains("password"), "{user}");
        let longest = json!({"email": "b@example.org", "password": PASSWORD, "full_name": "ü".repeat(255)});
        s.anonymous().post("/api/v1/auth/register").json(&longest).await.status(201);
    }

    /// F002
    async fn an_address_is_registered_once_in_any_letter_case(s: TestServer) {
        register(&s, "ann@example.org").await.status(201);
        for again in ["ann@example.org", "ANN@Example.ORG", " ann@example.org "] {
            register(&s, again).await.status(409).problem("email-taken");
        }
    }

    /// F003
    async fn each_field_that_is_not_acceptable_is_named(s: TestServer) {
        let long = format!("{}@example.org", "a".repeat(250));
        let cases = [
            (json!({"email": "ann", "password": PASSWORD}), vec!["/email"]),
            (json!({"email": long, "password": PASSWORD}), vec!["/email"]),
            (json!({"email": "a@example.org\r\nBcc: x", "password": PASSWORD}), vec!["/email"]),
            (json!({"email": "аnn@example.org", "password": PASSWORD}), vec!["/email"]),
            (json!({"email": "a@example.org", "password": ""}), vec!["/password"]),
            (json!({"email": "a@example.org", "password": "1234567"}), vec!["/password"]),
            (json!({"email": "a@example.org", "password": "x".repeat(129)}), vec!["/password"]),
            (json!({"email": "a@example.org", "password": " ".repeat(12)}), vec!["/password"]),
            (json!({"email": "a@example.org", "password": "with a \u{0} in it"}), vec!["/password"]),
            (json!({"email": "ann", "password": "short"}), vec!["/email", "/password"]),
            (json!({"email": "a@example.org", "password": PASSWORD, "full_name": "x".repeat(256)}), vec!["/full_name"]),
            (json!({"email": "a@example.org", "password": PASSWORD, "full_name": "a\u{0}b"}), vec!["/full_name"]),
            (json!({"email": "a@example.org", "password": PASSWORD, "is_admin": true}), vec!["/is_admin"]),
            (json!({"email": "a@example.org", "password": PASSWORD, "role": "admin"}), vec!["/role"]),
            (json!({"email": 7, "password": PASSWORD}), vec!["/email"]),
            (json!({"email": "a@example.org"}), vec!["/password"]),
        ];
        for (body, expected) in cases {
            let reply = s.anonymous().post("/api/v1/auth/register").json(&body).await.status(422);
            let problem = reply.problem("invalid-request");
            assert_eq!(pointers(&problem), expected, "{body}");
        }
        let admin = s.admin().await;
        let users = admin.get("/api/v1/users").await.status(200).json();
        assert_eq!(users["total"], 1, "somebody was registered: {users}");
    }

    /// F001
    #[options(Options::new().registration_closed())]
    async fn a_closed_installation_registers_nobody(s: TestServer) {
        register(&s, "ann@example.org").await.status(403).problem("insufficient-scope");
    }

    /// F004
    async fn a_password_is_stored_as_argon2id_and_nowhere_in_the_clear(s: TestServer) {
        register(&s, "ann@example.org").await.status(201);
        login(&s, "ann@example.org", PASSWORD).await.status(200);
        login(&s, "ann@example.org", &format!("{PASSWORD}!")).await.status(401);
        let user = s.app().db().user_by_email("ann@example.org").await.unwrap().unwrap();
        assert!(user.password_hash.unwrap().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(s.stores("ann@example.org").await, "the search finds nothing at all");
        assert!(s.stores("$argon2id$").await, "the search finds nothing at all");
        assert!(!s.stores(PASSWORD).await);
        assert!(!s.log_text().contains(PASSWORD));
    }

    /// F005
    async fn signing_in_gives_both_tokens_and_the_account(s: TestServer) {
        register(&s, "ann@example.org").await.status(201);
        let answer = login(&s, "ANN@example.org", PASSWORD).await.status(200).json();
        assert_eq!(answer["token_type"], "bearer");
        assert_eq!(answer["expires_in"], 1800);
        assert_eq!(answer["user"]["email"], "ann@example.org");
        assert!(answer["refresh_token"].as_str().unwrap().len() >= 43);
        let ann = s.anonymous().bearer(answer["access_token"].as_str().unwrap());
        ann.get("/api/v1/users/me").await.status(200);
    }

    /// F006
    async fn a_wrong_password_and_an_unknown_address_are_the_same_answer(s: TestServer) {
        register(&s, "ann@example.org").await.status(201);
        let wrong = login(&s, "ann@example.org", "not the password").await.status(401);
        assert_eq!(wrong.header("www-authenticate"), "Bearer");
        let expected = without_request(wrong.problem("unauthenticated"));
        let unset = "admin@localhost";
        for email in ["nobody@example.org", unset, "no address", ""] {
            let reply = login(&s, email, "not the password").await.status(401);
            assert_eq!(without_request(reply.problem("unauthenticated")), expected, "{email}");
        }
        // Everything but the request's own id and time is the same in the head, too.
        let head = |reply: &Reply| {
            let mut headers = reply.headers().clone();
            for own in ["date", "x-request-id", "x-response-time", "content-length"] {
                headers.remove(own);
            }
            headers
        };
        let unknown = login(&s, "nobody@example.org", "not the password").await;
        assert_eq!(head(&wrong), head(&unknown));
    }

    /// F007
    async fn a_deactivated_account_is_refused_with_every_credential(s: TestServer) {
        let admin = s.admin().await;
        let ann = s.user("ann").await;
        ann.upload("iris", fixture(MODEL)).await.status(201);
        let key = ann.key(&[Scope::Read]).await;
        let session = login(&s, "ann@example.org", PASSWORD).await.status(200).json();
        let id = id_of(&ann).await;
        switch(&admin, &id, false).await;
        login(&s, "ann@example.org", PASSWORD).await.status(403).problem("account-disabled");
        // Only who knows the password learns that the account is switched off.
        login(&s, "ann@example.org", "not the password").await.status(401).problem("unauthenticated");
        for client in [&ann, &key] {
            for path in ["/api/v1/auth/me", "/api/v1/users/me", "/api/v1/models", "/api/v1/api-keys"] {
                client.get(path).await.status(403).problem("account-disabled");
            }
            client.predict("iris", json!([ROW])).await.status(403).problem("account-disabled");
        }
        let refresh = json!({"refresh_token": session["refresh_token"]});
        s.anonymous().post("/api/v1/auth/refresh").json(&refresh).await.status(401);
        switch(&admin, &id, true).await;
        key.predict("iris", json!([ROW])).await.status(200);
        login(&s, "ann@example.org", PASSWORD).await.status(200);
        s.anonymous().post("/api/v1/auth/refresh").json(&refresh).await.status(401);
    }

    /// F013
    async fn everybody_can_ask_who_they_are_and_what_they_may_do(s: TestServer) {
        let ann = s.user("ann").await;
        let me = ann.get("/api/v1/auth/me").await.status(200).json();
        assert_eq!(me["email"], "ann@example.org");
        assert_eq!((&me["principal"], &me["role"]), (&json!("user"), &json!("user")));
        assert_eq!(me["scopes"], json!(["predict", "feedback", "read", "write", "admin"]));
        assert!(me.get("api_key_id").is_none());
        let key = ann.key(&[Scope::Read]).await;
        let me = key.get("/api/v1/auth/me").await.status(200).json();
        assert_eq!(me["email"], "ann@example.org");
        assert_eq!(me["principal"], "api_key");
        assert_eq!(me["scopes"], json!(["predict", "read"]));
        assert!(me["api_key_id"].as_str().unwrap().starts_with("key_"));
        let me = s.admin().await.get("/api/v1/auth/me").await.status(200).json();
        assert_eq!(me["role"], "admin");
    }

    /// F014
    async fn people_change_their_name_and_address(s: TestServer) {
        let ann = s.user("ann").await;
        s.user("bob").await;
        let change = async |body: Value| ann.patch("/api/v1/users/me").json(&body).await;
        let me = change(json!({"full_name": "Ann"})).await.status(200).json();
        assert_eq!((&me["full_name"], &me["email"]), (&json!("Ann"), &json!("ann@example.org")));
        let me = change(json!({"email": "Anna@Example.org"})).await.status(200).json();
        assert_eq!((&me["full_name"], &me["email"]), (&json!("Ann"), &json!("anna@example.org")));
        change(json!({"email": "BOB@example.org"})).await.status(409).problem("email-taken");
        let problem = change(json!({"email": "anna"})).await.status(422).problem("invalid-request");
        assert_eq!(pointers(&problem), ["/email"]);
        for field in ["is_admin", "role", "id", "is_active", "password_hash"] {
            let problem = change(json!({field: true})).await.status(422).problem("invalid-request");
            assert_eq!(pointers(&problem), [format!("/{field}")]);
        }
        let me = change(json!({"full_name": null})).await.status(200).json();
        assert_eq!(me["full_name"], Value::Null);
        let me = ann.get("/api/v1/users/me").await.status(200).json();
        assert_eq!((&me["email"], &me["is_admin"]), (&json!("anna@example.org"), &json!(false)));
        login(&s, "ann@example.org", PASSWORD).await.status(401);
        login(&s, "anna@example.org", PASSWORD).await.status(200);
    }

    /// F015
    async fn a_new_password_needs_the_current_one_and_ends_every_session(s: TestServer) {
        const NEW: &str = "another good password";
        let ann = s.user("ann").await;
        let key = ann.key(&[Scope::Read]).await;
        let other = login(&s, "ann@example.org", PASSWORD).await.status(200).json();
        let change = async |current: &str, new: &str| {
            let body = json!({"current_password": current, "new_password": new});
            ann.post("/api/v1/users/me/password").json(&body).await
        };
        for (current, new, pointer) in [
            ("not the password", NEW, "/current_password"),
            ("", NEW, "/current_password"),
            (PASSWORD, "short", "/new_password"),
        ] {
            let problem = change(current, new).await.status(422).problem("invalid-request");
            assert_eq!(pointers(&problem), [pointer]);
        }
        change(PASSWORD, NEW).await.status(204);
        let elsewhere = s.anonymous().bearer(other["access_token"].as_str().unwrap());
        elsewhere.get("/api/v1/users/me").await.status(401).problem("unauthenticated");
        ann.get("/api/v1/users/me").await.status(401);
        let refresh = json!({"refresh_token": other["refresh_token"]});
        s.anonymous().post("/api/v1/auth/refresh").json(&refresh).await.status(401);
        // A key is not a session.
        key.get("/api/v1/models").await.status(200);
        login(&s, "ann@example.org", PASSWORD).await.status(401);
        login(&s, "ann@example.org", NEW).await.status(200);
    }

    /// F016
    async fn a_deleted_account_takes_its_keys_models_and_files_along(s: TestServer) {
        let blobs = s.directory().join("blobs");
        let (ann, bob) = (s.user("ann").await, s.user("bob").await);
        ann.upload("shared", fixture(MODEL)).await.status(201);
        ann.upload("own", fixture("sklearn/1.5.2/iris_tree.pkl")).await.status(201);
        bob.upload("shared", fixture(MODEL)).await.status(201);
        let key = ann.key(&[Scope::Admin]).await;
        let session = login(&s, "ann@example.org", PASSWORD).await.status(200).json();
        assert_eq!(artifacts(&blobs), 4);
        let delete = async |password: &str| {
            ann.delete("/api/v1/users/me").json(&json!({"password": password})).await
        };
        let problem = delete("not the password").await.status(422).problem("invalid-request");
        assert_eq!(pointers(&problem), ["/password"]);
        delete(PASSWORD).await.status(204);
        ann.get("/api/v1/users/me").await.status(401);
        key.predict("own", json!([ROW])).await.status(401);
        login(&s, "ann@example.org", PASSWORD).await.status(401);
        let refresh = json!({"refresh_token": session["refresh_token"]});
        s.anonymous().post("/api/v1/auth/refresh").json(&refresh).await.status(401);
        // What bob uploaded has the same content as one of ann's files.
        assert_eq!(artifacts(&blobs), 2);
        bob.predict("shared", json!([ROW])).await.status(200);
        assert!(s.app().db().user_by_email("ann@example.org").await.unwrap().is_none());
        let admin = s.admin().await;
        let users = admin.get("/api/v1/users").await.status(200).json();
        assert!(!users.to_string().contains("ann@example.org"));
        register(&s, "ann@example.org").await.status(201);
        let back = s.anonymous().bearer(
            login(&s, "ann@example.org", PASSWORD).await.json()["access_token"].as_str().unwrap(),
        );
        let models = back.get("/api/v1/models").await.status(200).json();
        assert_eq!(models["total"], 0, "a new account of the same address is a new account");
    }

    /// F016
    async fn the_last_administrator_cannot_be_deleted(s: TestServer) {
        let admin = s.admin().await;
        let body = json!({"password": PASSWORD});
        admin.delete("/api/v1/users/me").json(&body).await.status(409).problem("last-admin");
        admin.get("/api/v1/users/me").await.status(200);
    }

    /// F017
    async fn routes_of_administrators_refuse_everybody_else(s: TestServer) {
        let (admin, ann) = (s.admin().await, s.user("ann").await);
        let id = id_of(&ann).await;
        let own = format!("/api/v1/users/{id}");
        let key = ann.key(&[Scope::Admin]).await;
        for client in [&ann, &key] {
            client.get("/api/v1/users").await.status(403).problem("insufficient-scope");
            let body = json!({"email": "c@example.org", "password": PASSWORD});
            client.post("/api/v1/users").json(&body).await.status(403);
            client.patch(&own).json(&json!({"is_admin": true})).await.status(403);
        }
        admin.patch(&own).json(&json!({"is_admin": true})).await.status(200);
        // In force at once, for the token that was issued before.
        ann.get("/api/v1/users").await.status(200);
        admin.patch(&own).json(&json!({"is_admin": false})).await.status(200);
        ann.get("/api/v1/users").await.status(403);
    }

    /// F018
    async fn the_first_start_makes_one_administrator_who_is_claimed_once(mut s: TestServer) {
        let earlier = s.app().new_setup_token().await.unwrap().unwrap();
        s.restart().await;
        let token = s.app().new_setup_token().await.unwrap().unwrap();
        let setup = async |token: &str| {
            let body = json!({"token": token, "email": "Root@example.org", "password": PASSWORD});
            s.anonymous().post("/api/v1/auth/setup").json(&body).await
        };
        for wrong in ["", "plim_setup_x", earlier.expose()] {
            setup(wrong).await.status(401).problem("unauthenticated");
        }
        s.advance(Duration::from_hours(1));
        setup(token.expose()).await.status(401).problem("unauthenticated");
        let token = s.app().new_setup_token().await.unwrap().unwrap();
        let answer = setup(token.expose()).await.status(201).json();
        assert_eq!(answer["user"]["is_admin"], true);
        let admin = s.anonymous().bearer(answer["access_token"].as_str().unwrap());
        let users = admin.get("/api/v1/users").await.status(200).json();
        assert_eq!(users["total"], 1);
        assert_eq!(users["items"][0]["email"], "root@example.org");
        setup(token.expose()).await.status(401).problem("unauthenticated");
        assert!(s.app().new_setup_token().await.unwrap().is_none());
        assert!(!s.stores(token.expose()).await);
    }

    /// F019
    async fn administrators_list_switch_off_and_switch_on(s: TestServer) {
        let (admin, ann) = (s.admin().await, s.user("ann").await);
        let users = admin.get("/api/v1/users?page_size=1").await.status(200).json();
        assert_eq!((&users["total"], &users["page_size"]), (&json!(2), &json!(1)));
        assert_eq!(users["items"][0]["email"], "ann@example.org", "newest first");
        let id = id_of(&ann).await;
        switch(&admin, &id, false).await;
        ann.get("/api/v1/users/me").await.status(403);
        switch(&admin, &id, true).await;
        ann.get("/api/v1/users/me").await.status(200);
        let own = format!("/api/v1/users/{}", id_of(&admin).await);
        for change in [json!({"is_active": false}), json!({"is_admin": false})] {
            admin.patch(&own).json(&change).await.status(409).problem("own-account");
        }
        let nobody = "/api/v1/users/usr_01JD3T9Q2G0000000000000000";
        admin.patch(nobody).json(&json!({"is_active": false})).await.status(404).problem("not-found");
    }
}
