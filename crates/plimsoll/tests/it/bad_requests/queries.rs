//! Query parameters and ids in paths.

use plimsoll_testkit::{TestServer, backends};

use super::{ann, refused, still_serves};

/// Every route with a query.
const LISTS: [&str; 6] = [
    "/api/v1/models",
    "/api/v1/models/iris/versions",
    "/api/v1/models/iris/promotions",
    "/api/v1/api-keys",
    "/api/v1/users",
    "/api/v1/jobs",
];

backends! {
    /// Bad inputs 36
    async fn pages_out_of_range_are_refused_by_every_list(s: TestServer) {
        ann(&s).await;
        let admin = s.admin().await;
        admin.upload("iris", plimsoll_testkit::fixture(super::MODEL)).await.status(201);
        for path in LISTS {
            for (query, pointer) in [
                ("page=0", "/page"), ("page=-1", "/page"), ("page=abc", "/page"), ("page=1.5", "/page"),
                ("page=", "/page"), ("page=99999999999999999999", "/page"), ("page=1%27%20or%201=1", "/page"), ("page_size=0", "/page_size"), ("page_size=101", "/page_size"),
                ("page_size=1000000000", "/page_size"), ("page=1&page=2", "/page"), ("surprise=1", "/surprise"),
                ("Page=1", "/Page"), ("page_size=1&per_page=2", "/page_size"), ("cursor=x", "/cursor"),
            ] {
                let reply = admin.get(&format!("{path}?{query}")).await;
                let problem = refused(&reply, 422, "invalid-request", &format!("{path}?{query}"));
                assert_eq!(problem["errors"][0]["pointer"], pointer, "{path}?{query}");
            }
            let both = admin.get(&format!("{path}?page=0&page_size=101")).await;
            let problem = refused(&both, 422, "invalid-request", path);
            assert_eq!(problem["errors"].as_array().unwrap().len(), 2);
            // Far beyond the end is an empty page, not a failure.
            let far = admin.get(&format!("{path}?page=4294967295&page_size=100")).await.status(200).json();
            assert_eq!(far["items"].as_array().unwrap().len(), 0, "{path}");
            for fine in ["", "page=1", "page_size=100", "per_page=1", "&", "page=1&"] {
                admin.get(&format!("{path}?{fine}")).await.status(200);
            }
        }
        still_serves(&s).await;
    }

    /// Bad inputs 36, F017
    async fn unknown_sorts_and_filters_are_refused_and_never_reach_the_database(s: TestServer) {
        let ann = ann(&s).await;
        for query in [
            "sort_by=password_hash", "sort_by=name;drop%20table%20models", "sort_by=", "sort_order=up", "status=gone", "task=x", "include_revoked=yes",
        ] {
            let path = if query.starts_with("include") { "/api/v1/api-keys" } else { "/api/v1/models" };
            let reply = ann.get(&format!("{path}?{query}")).await;
            refused(&reply, 422, "invalid-request", query);
        }
        for text in ["%27", "%27;drop%20table%20models;--", "%25", "_", "%5C", "%F0%9F%9A%A2", "a%0d%0ab"] {
            let reply = ann.get(&format!("/api/v1/models?search={text}")).await;
            assert!([200, 422].contains(&reply.code()), "{text}: {}", reply.text());
            if reply.code() == 422 {
                reply.problem("invalid-request");
            }
        }
        for text in ["%00", "a%00b", "%ff", "%c0%af"] {
            let reply = ann.get(&format!("/api/v1/models?search={text}")).await;
            refused(&reply, 400, "malformed-request", text);
        }
        ann.get("/api/v1/models/iris").await.status(200);
        still_serves(&s).await;
    }

    /// Bad inputs 3, 36
    async fn what_is_no_id_names_nothing(s: TestServer) {
        let (ann, admin) = (ann(&s).await, s.admin().await);
        let long = "x".repeat(5000);
        for id in [
            "x", "0", "-1", "mdl_", "mdl_01JD3T9Q2G000000000000000", "key_01JD3T9Q2G0000000000000000",
            "usr_01JD3T9Q2G0000000000000000", "mdl_01JD3T9Q2GUUUUUUUUUUUUUUUU", "%20", "..%2f..%2fetc%2fpasswd",
            "%27%20or%201=1", "iris%0a", "IRIS", "%F0%9F%9A%A2", "null", "undefined", &long,
        ] {
            for (method, path) in [
                ("GET", format!("/api/v1/models/{id}")), ("DELETE", format!("/api/v1/models/{id}")),
                ("GET", format!("/api/v1/models/iris/versions/{id}")), ("POST", format!("/api/v1/models/iris/versions/{id}/promote")),
                ("GET", format!("/api/v1/api-keys/{id}")), ("DELETE", format!("/api/v1/api-keys/{id}")),
                ("GET", format!("/problems/{id}")),
            ] {
                let reply = ann.request(method.parse().unwrap(), &path).await;
                refused(&reply, 404, "not-found", &format!("{method} {path}"));
            }
            let user = admin.patch(&format!("/api/v1/users/{id}")).body("{}", "application/json").await;
            refused(&user, 404, "not-found", id);
        }
        for number in ["0", "-1", "2", "99999999999999999999", "1.0", "v1"] {
            let reply = ann.get(&format!("/api/v1/models/iris/versions/{number}")).await;
            refused(&reply, 404, "not-found", number);
        }
        still_serves(&s).await;
    }
}
