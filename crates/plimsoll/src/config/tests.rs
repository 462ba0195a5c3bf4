use std::collections::HashSet;

use super::raw::{Assignment, Raw, Sources};
use super::table::{KEYS, Kind};
use super::*;

const STRONG: &str = "q8Zt0vYw3nLk5RbXe7Jd2MhUc9AsFgTi";

fn environment(pairs: &[(&str, &str)]) -> Sources {
    Sources {
        environment: pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect(),
        ..Sources::default()
    }
}

fn file(text: &str) -> (tempfile::NamedTempFile, Sources) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let sources = Sources {
        file: Some(file.path().to_owned()),
        ..Sources::default()
    };
    (file, sources)
}

fn flag(key: &str, text: &str) -> Assignment {
    Assignment {
        flag: "--set".into(),
        key: key.into(),
        text: text.into(),
    }
}

fn mistakes(sources: &Sources) -> Vec<String> {
    load(sources)
        .unwrap_err()
        .0
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn shown(sources: &Sources, key: &str) -> Shown {
    let (_, all) = load(sources).unwrap();
    all.into_iter().find(|shown| shown.key == key).unwrap()
}

#[test]
fn every_default_in_the_table_is_valid_and_unique() {
    let (config, all) = load(&Sources::default()).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.upload_max_bytes, 2 << 30);
    assert_eq!(
        config.database.url,
        "sqlite:./plimsoll-data/plimsoll.db".parse().unwrap()
    );
    let paths: HashSet<_> = all.iter().map(|shown| shown.key).collect();
    assert_eq!(paths.len(), KEYS.len());
    for key in KEYS {
        assert!(
            key.default.is_some() == key.otherwise.is_empty(),
            "{}",
            key.path
        );
        assert!(key.help.ends_with('.'), "{}", key.path);
    }
}

#[test]
fn a_later_place_wins() {
    let (_kept, mut sources) = file("[predict]\nmax_rows = 5\n");
    assert_eq!(load(&sources).unwrap().0.predict.max_rows, 5);
    assert_eq!(shown(&sources, "predict.max_rows").origin, "file");
    let environment = ("PLIMSOLL_PREDICT__MAX_ROWS".to_owned(), "6".to_owned());
    sources.environment.extend([environment]);
    assert_eq!(load(&sources).unwrap().0.predict.max_rows, 6);
    assert_eq!(shown(&sources, "predict.max_rows").origin, "env");
    sources.flags.push(flag("predict.max_rows", "7"));
    assert_eq!(load(&sources).unwrap().0.predict.max_rows, 7);
    let shown = shown(&sources, "predict.max_rows");
    assert_eq!(
        (shown.origin, shown.from.as_deref()),
        ("flag", Some("--set"))
    );
}

#[test]
fn an_unknown_key_gets_a_suggestion_wherever_it_stands() {
    let cases = [
        (
            environment(&[("PLIMSOLL_SERVER__LISTN", "x")]),
            "did you mean PLIMSOLL_SERVER__LISTEN?",
        ),
        (
            environment(&[("PLIMSOLL_SERVER_LISTEN", "x")]),
            "did you mean PLIMSOLL_SERVER__LISTEN?",
        ),
        (
            environment(&[("PLIMSOLL_PORT", "9000")]),
            "is not a configuration key",
        ),
        (
            environment(&[("PLIMSOLL_COLOUR_OF_THE_SKY", "x")]),
            "`plimsoll config show` lists them",
        ),
        (file("[predict]\nmaxrows = 5\n").1, ""),
    ];
    for (sources, expected) in cases {
        let found = mistakes(&sources);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(expected), "{found:?}");
    }
    let (_kept, sources) = file("[predict]\nmaxrows = 5\n");
    assert!(mistakes(&sources)[0].contains("did you mean predict.max_rows?"));
    let (_kept, sources) = file("[srver]\nlisten = \"127.0.0.1:1\"\n");
    assert!(mistakes(&sources)[0].contains("did you mean server.listen?"));
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let (_kept, mut sources) =
        file("data_dir = 5\n[predict]\nmax_rows = 0\ntimeout = 30\nnothing = [1]\n");
    sources.environment = environment(&[
        ("PLIMSOLL_SERVER__LISTEN", "localhost"),
        ("PLIMSOLL_AUTH__SECRET", "secret"),
        ("PLIMSOLL_AUTH__REFRESH_TTL", "10m"),
        ("PLIMSOLL_NO_SUCH_THING", "1"),
    ])
    .environment;
    sources.flags.push(flag("log.level", "loud"));
    let found = mistakes(&sources).join("\n");
    for expected in [
        "predict.max_rows: expected a whole number from 1 to 1000000, got \"0\"",
        "predict.timeout: expected a duration such as 30s or 50ms",
        "predict.nothing",
        "server.listen: expected an IP address and port",
        "(from PLIMSOLL_SERVER__LISTEN)",
        "auth.secret",
        "auth.refresh_ttl: must be longer than auth.access_ttl",
        "no_such_thing",
        "log.level: expected error or warn or info or debug or trace, got \"loud\" (from --set)",
    ] {
        assert!(found.contains(expected), "{expected} not in\n{found}");
    }
}

#[test]
fn a_mistake_never_shows_a_secret() {
    for (name, text) in [
        ("PLIMSOLL_AUTH__SECRET", "hunter2"),
        ("PLIMSOLL_DATABASE__URL", "mysql://ann:hunter2@host/db"),
    ] {
        let found = mistakes(&environment(&[(name, text)])).join("\n");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn what_is_shown_hides_secrets_and_passwords() {
    let cases = [
        (
            "postgres://ann:hunter2@host:5432/db",
            "postgres://ann:***@host:5432/db",
        ),
        ("postgres://ann@host/db", "postgres://ann@host/db"),
        (
            "postgres://host/db?user=a&password=hunter2&x=1",
            "postgres://host/db?user=a&password=***&x=1",
        ),
        (
            "postgres://ann:hun/ter2@host/db",
            "postgres://ann:***@host/db",
        ),
    ];
    for (url, expected) in cases {
        let sources = environment(&[("DATABASE_URL", url), ("PLIMSOLL_AUTH__SECRET", STRONG)]);
        assert_eq!(
            shown(&sources, "database.url").value.as_deref(),
            Some(expected)
        );
        assert_eq!(
            shown(&sources, "auth.secret").value.as_deref(),
            Some("[secret]")
        );
        let (config, _) = load(&sources).unwrap();
        let debug = format!("{config:?}");
        assert!(
            !debug.contains("hunter2") && !debug.contains(STRONG),
            "{debug}"
        );
    }
}

#[test]
fn secrets_come_from_files_and_never_from_flags() {
    let kept = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kept.path(), format!("{STRONG}\n")).unwrap();
    let path = kept.path().to_str().unwrap();
    let (config, _) = load(&environment(&[("PLIMSOLL_AUTH__SECRET_FILE", path)])).unwrap();
    let secret = config.auth.secret.unwrap();
    assert_eq!(secret.expose(), STRONG);

    let both = environment(&[
        (
            "PLIMSOLL_AUTH__SECRET",
            "another-q8Zt0vYw3nLk5RbXe7Jd2MhUc9",
        ),
        ("PLIMSOLL_AUTH__SECRET_FILE", path),
    ]);
    assert!(mistakes(&both)[0].contains("is set twice"));
    let missing = environment(&[("PLIMSOLL_AUTH__SECRET_FILE", "/no/such/file")]);
    assert!(mistakes(&missing)[0].contains("/no/such/file cannot be read"));
    let by_flag = Sources {
        flags: vec![flag("auth.secret", STRONG)],
        ..Sources::default()
    };
    assert!(mistakes(&by_flag)[0].contains("list of processes"));
}

#[test]
fn common_variables_are_understood_and_give_way_to_our_own() {
    let listen = |pairs: &[(&str, &str)]| {
        load(&environment(pairs))
            .unwrap()
            .0
            .server
            .listen
            .to_string()
    };
    assert_eq!(listen(&[("PORT", "5000")]), "127.0.0.1:5000");
    assert_eq!(
        listen(&[("HOST", "0.0.0.0"), ("PORT", "5000")]),
        "0.0.0.0:5000"
    );
    assert_eq!(listen(&[("HOST", "::1")]), "[::1]:8080");
    assert_eq!(listen(&[("HOST", "my-laptop")]), "127.0.0.1:8080");
    let both = [("PORT", "5000"), ("PLIMSOLL_SERVER__LISTEN", "127.0.0.1:7")];
    assert_eq!(listen(&both), "127.0.0.1:7");
    assert!(mistakes(&environment(&[("PORT", "many")]))[0].contains("(from PORT)"));
}

#[test]
fn an_empty_variable_is_no_variable() {
    let sources = environment(&[
        ("PLIMSOLL_ENGINE__ONNXRUNTIME", ""),
        ("PORT", ""),
        ("DATABASE_URL", ""),
    ]);
    assert_eq!(shown(&sources, "engine.onnxruntime").origin, "default");
    assert_eq!(shown(&sources, "server.listen").origin, "default");
}

#[test]
fn service_links_of_kubernetes_are_no_mistakes() {
    let sources = environment(&[
        ("PLIMSOLL_SERVICE_HOST", "10.0.0.1"),
        ("PLIMSOLL_SERVICE_PORT", "8080"),
        ("PLIMSOLL_SERVICE_PORT_HTTP", "8080"),
        ("PLIMSOLL_PORT", "tcp://10.0.0.1:8080"),
        ("PLIMSOLL_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ]);
    assert!(load(&sources).is_ok());
}

#[test]
fn postgresql_without_a_configured_secret_is_refused() {
    let found = mistakes(&environment(&[("DATABASE_URL", "postgres://host/db")]));
    assert!(
        found[0].contains("is required with PostgreSQL"),
        "{found:?}"
    );
}

#[test]
fn a_file_that_is_not_toml_names_its_line() {
    let (_kept, sources) = file("[predict]\nmax_rows = = 5\n");
    assert!(mistakes(&sources)[0].contains("line 2 is not TOML"));
    let gone = Sources {
        file: Some("/no/such/file.toml".into()),
        ..Sources::default()
    };
    assert!(mistakes(&gone)[0].contains("cannot be read"));
}

#[test]
fn the_annotated_file_loads_once_its_comments_are_removed() {
    let text = reference(Form::Toml);
    let active: String = text
        .lines()
        .filter(|line| !line.starts_with("# ") && !line.ends_with("= \"\""))
        .map(|line| format!("{}\n", line.trim_start_matches('#')))
        .collect();
    let (_kept, sources) = file(&active);
    let raw = Raw::collect(&sources);
    assert_eq!(raw.mistakes, []);
    for key in KEYS.iter().filter(|key| key.default.is_some()) {
        assert_eq!(
            raw.get(key.path).map(|w| w.text.as_str()),
            key.default,
            "{}",
            key.path
        );
    }
}

#[test]
fn the_environment_example_names_every_key_and_sets_none() {
    let text = reference(Form::Env);
    for key in KEYS {
        assert!(
            text.contains(&format!("\n#{}=", key.variable())),
            "{}",
            key.path
        );
    }
    assert!(
        text.lines()
            .all(|line| line.is_empty() || line.starts_with('#'))
    );
    assert!(KEYS.iter().any(|key| key.kind == Kind::Secret));
}
