//! API keys.

use plimsoll_core::key::Scope;
use plimsoll_store::{Burst, Change, KeyChange, KeyUsage, StoreError};

use crate::world::{ALL, page};

backends! {
    async fn a_key_is_found_by_its_owner_alone(world: World) {
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        let key = world.key(ann.id, "ci").await;
        assert_eq!(world.db.key_by_id(key.id, ann.id).await.unwrap().as_ref(), Some(&key));
        assert_eq!(world.db.key_by_id(key.id, bob.id).await.unwrap(), None);
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.key_by_id(key.id, ann.id).await.unwrap(), Some(key));
    }

    async fn nothing_optional_is_needed(world: World) {
        let ann = world.user("ann").await;
        let mut key = world.new_key(ann.id, "bare");
        (key.scopes, key.model_ids) = (Vec::new(), Vec::new());
        (key.rate_limit, key.burst) = (None, Burst::default());
        (key.expires_at, key.rotated_from) = (None, None);
        let mut tx = world.db.begin().await.unwrap();
        tx.insert_key(&key).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(world.db.key_by_id(key.id, ann.id).await.unwrap(), Some(key));
    }

    async fn a_taken_handle_and_a_missing_owner_are_refused(world: World) {
        let ann = world.user("ann").await;
        let first = world.key(ann.id, "first").await;
        let mut second = world.new_key(ann.id, "second");
        let unknown = plimsoll_core::id::UserId::new(&world.ids);

        let mut tx = world.db.begin().await.unwrap();
        second.user_id = unknown;
        let refused = tx.insert_key(&second).await;
        assert!(matches!(refused, Err(StoreError::Reference(_))), "{refused:?}");
        drop(tx);

        let mut tx = world.db.begin().await.unwrap();
        (second.user_id, second.handle) = (ann.id, first.handle);
        let refused = tx.insert_key(&second).await;
        assert!(matches!(refused, Err(StoreError::Unique { column }) if column == "api_keys.handle"));
    }

    async fn revoked_keys_are_hidden_and_dead(world: World) {
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        let old = world.key(ann.id, "old").await;
        let kept = world.key(ann.id, "kept").await;
        let foreign = world.key(bob.id, "foreign").await;
        let now = world.now();
        let mut tx = world.db.begin().await.unwrap();
        assert!(!tx.revoke_key(old.id, bob.id, now).await.unwrap());
        assert!(tx.revoke_key(old.id, ann.id, now).await.unwrap());
        assert!(!tx.revoke_key(old.id, ann.id, world.now()).await.unwrap());
        let change = KeyChange { is_active: Some(true), ..KeyChange::default() };
        assert_eq!(tx.update_key(old.id, ann.id, change).await.unwrap(), None);
        tx.commit().await.unwrap();

        let listed = world.db.keys_page(ann.id, false, ALL).await.unwrap();
        assert_eq!((listed.total, &listed.items[..]), (1, &[kept.clone()][..]));
        let listed = world.db.keys_page(ann.id, true, page(2, 1)).await.unwrap();
        assert_eq!(listed.total, 2);
        let revoked = &listed.items[0];
        assert_eq!((revoked.id, revoked.revoked_at, revoked.is_active), (old.id, Some(now), false));
        assert_eq!(world.db.live_keys().await.unwrap(), [kept, foreign]);
    }

    async fn a_change_touches_only_what_it_names(world: World) {
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        let mut key = world.key(ann.id, "ci").await;
        let mut tx = world.db.begin().await.unwrap();
        let unchanged = tx.update_key(key.id, ann.id, KeyChange::default()).await.unwrap();
        assert_eq!(unchanged.as_ref(), Some(&key));
        assert_eq!(tx.update_key(key.id, bob.id, KeyChange::default()).await.unwrap(), None);

        let change = KeyChange {
            name: Some("cd".into()),
            description: Some(String::new()),
            scopes: Some(vec![Scope::Admin]),
            model_ids: Some(Vec::new()),
            rate_limit: Change::Set(None),
            burst: Change::Set(Burst::default()),
            is_active: Some(false),
            expires_at: Change::Set(None),
        };
        let changed = tx.update_key(key.id, ann.id, change).await.unwrap();
        (key.name, key.description) = ("cd".into(), String::new());
        (key.scopes, key.model_ids) = (vec![Scope::Admin], Vec::new());
        (key.rate_limit, key.burst) = (None, Burst::default());
        (key.is_active, key.expires_at) = (false, None);
        assert_eq!(changed.as_ref(), Some(&key));

        let now = world.now();
        let change = KeyChange {
            rate_limit: Change::Set(Some(5)),
            expires_at: Change::Set(Some(now)),
            ..KeyChange::default()
        };
        let changed = tx.update_key(key.id, ann.id, change).await.unwrap().unwrap();
        assert_eq!((changed.rate_limit, changed.expires_at), (Some(5), Some(now)));
    }

    async fn usage_adds_up_and_the_last_use_never_goes_back(world: World) {
        let ann = world.user("ann").await;
        let keys = [world.key(ann.id, "a").await, world.key(ann.id, "b").await];
        let gone = world.new_key(ann.id, "gone");
        let (earlier, later) = (world.now(), world.now());
        let use_of = |key, requests, last_used_at| KeyUsage { key, requests, last_used_at };
        let mut tx = world.db.begin().await.unwrap();
        let first = [use_of(keys[1].id, 7, later), use_of(keys[0].id, 1, earlier), use_of(gone.id, 1, later)];
        tx.add_key_usage(&first).await.unwrap();
        tx.add_key_usage(&[use_of(keys[1].id, 5, earlier)]).await.unwrap();
        tx.commit().await.unwrap();
        for (key, total, last) in [(&keys[0], 1, earlier), (&keys[1], 12, later)] {
            let row = world.db.key_by_id(key.id, ann.id).await.unwrap().unwrap();
            assert_eq!((row.total_requests, row.last_used_at), (total, Some(last)));
        }
    }
}
