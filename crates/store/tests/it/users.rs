//! People.

use std::sync::Arc;

use plimsoll_core::id::UserId;
use plimsoll_core::user::Role;
use plimsoll_store::{Change, LiveUser, StoreError, UserChange};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::world::{ALL, page};

backends! {
    async fn a_person_is_found_by_id_and_by_address(world: World) {
        let ann = world.user("ann").await;
        let nobody = UserId::new(&world.ids);
        assert_eq!(world.db.user_by_id(ann.id).await.unwrap().as_ref(), Some(&ann));
        let found = world.db.user_by_email("ann@example.org").await.unwrap();
        assert_eq!(found.as_ref(), Some(&ann));
        assert_eq!(world.db.user_by_id(nobody).await.unwrap(), None);
        assert_eq!(world.db.user_by_email("bob@example.org").await.unwrap(), None);
    }

    async fn a_transaction_reads_its_own_writes_and_dropping_it_undoes_them(world: World) {
        let ann = world.new_user("ann");
        let mut tx = world.db.begin().await.unwrap();
        tx.insert_user(&ann).await.unwrap();
        assert_eq!(tx.user_by_id(ann.id).await.unwrap().as_ref(), Some(&ann));
        assert!(tx.user_by_email(&ann.email).await.unwrap().is_some());
        assert_eq!(world.db.user_by_id(ann.id).await.unwrap(), None);
        drop(tx);
        // The next transaction starts only after the rollback.
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.user_by_id(ann.id).await.unwrap(), None);
    }

    async fn a_taken_address_is_named_by_its_column(world: World) {
        let ann = world.user("ann").await;
        let mut twin = world.new_user("ann");
        let mut tx = world.db.begin().await.unwrap();
        let outcome = tx.insert_user(&twin).await;
        assert!(matches!(outcome, Err(StoreError::Unique { column }) if column == "users.email"));
        drop(tx);

        (twin.id, twin.email) = (ann.id, "other@example.org".into());
        let mut tx = world.db.begin().await.unwrap();
        let outcome = tx.insert_user(&twin).await;
        assert!(matches!(outcome, Err(StoreError::Unique { column }) if column == "users.id"));
        drop(tx);

        let bob = world.user("bob").await;
        let mut tx = world.db.begin().await.unwrap();
        let change = UserChange { email: Some(ann.email), ..UserChange::default() };
        let outcome = tx.update_user(bob.id, change, world.now()).await;
        assert!(matches!(outcome, Err(StoreError::Unique { column }) if column == "users.email"));
    }

    async fn everybody_is_listed_newest_first(world: World) {
        let mut newest_first = Vec::new();
        for name in ["a", "b", "c", "d", "e"] {
            newest_first.insert(0, world.user(name).await);
        }
        for (number, expected) in [(1, &newest_first[..2]), (3, &newest_first[4..]), (4, &[])] {
            let got = world.db.users_page(page(number, 2)).await.unwrap();
            assert_eq!(got.items, expected, "page {number}");
            assert_eq!((got.total, got.page, got.page_size), (5, number, 2));
        }
    }

    async fn a_change_touches_only_what_it_names(world: World) {
        let mut ann = world.user("ann").await;
        let bob = world.user("bob").await;
        let now = world.now();
        let mut tx = world.db.begin().await.unwrap();
        let kept = tx.update_user(ann.id, UserChange::default(), now).await.unwrap();
        ann.updated_at = now;
        assert_eq!(kept.as_ref(), Some(&ann));

        let change = UserChange {
            email: Some("anna@example.org".into()),
            full_name: Change::Set(None),
            role: Some(Role::Admin),
            is_active: Some(false),
            password_hash: Some("new".into()),
            bump_token_epoch: true,
            last_login_at: Some(now),
        };
        let changed = tx.update_user(ann.id, change, now).await.unwrap();
        ann.email = "anna@example.org".into();
        ann.full_name = None;
        (ann.role, ann.is_active) = (Role::Admin, false);
        ann.password_hash = Some("new".into());
        (ann.token_epoch, ann.last_login_at) = (1, Some(now));
        assert_eq!(changed.as_ref(), Some(&ann));
        let nobody = UserId::new(&world.ids);
        assert_eq!(tx.update_user(nobody, UserChange::default(), now).await.unwrap(), None);
        tx.commit().await.unwrap();

        assert_eq!(world.db.user_by_id(ann.id).await.unwrap(), Some(ann));
        assert_eq!(world.db.user_by_id(bob.id).await.unwrap(), Some(bob));
    }

    async fn only_active_administrators_count(world: World) {
        let mut tx = world.db.begin().await.unwrap();
        for (name, role, is_active) in
            [("a", Role::Admin, true), ("b", Role::Admin, false), ("c", Role::User, true)]
        {
            let mut user = world.new_user(name);
            (user.role, user.is_active) = (role, is_active);
            tx.insert_user(&user).await.unwrap();
        }
        assert_eq!(tx.count_admins().await.unwrap(), 1);
    }

    async fn administrators_who_demote_each_other_at_once_leave_one(world: World) {
        let mut admins = [world.new_user("ann"), world.new_user("bob")];
        let mut tx = world.db.begin().await.unwrap();
        for admin in &mut admins {
            admin.role = Role::Admin;
            tx.insert_user(admin).await.unwrap();
        }
        tx.commit().await.unwrap();
        let both_demoted = Arc::new(Barrier::new(2));
        let mut demotions = JoinSet::new();
        for admin in admins {
            let (db, now) = (world.db.clone(), world.now());
            let both_demoted = both_demoted.clone();
            demotions.spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let change = UserChange { role: Some(Role::User), ..UserChange::default() };
                tx.update_user(admin.id, change, now).await.unwrap();
                // SQLite does not let the other in before this one is done.
                if db.kind() == "postgresql" {
                    both_demoted.wait().await;
                }
                let left = tx.count_admins().await.unwrap();
                // Long enough for the other to look too, were it not made to wait.
                for _ in 0..20 {
                    tx.user_by_id(admin.id).await.unwrap();
                }
                if left > 0 {
                    tx.commit().await.unwrap();
                }
            });
        }
        demotions.join_all().await;
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.count_admins().await.unwrap(), 1);
    }

    async fn the_first_administrator_is_known_and_whether_one_can_sign_in(world: World) {
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.first_admin().await.unwrap(), None);
        tx.insert_user(&world.new_user("ann")).await.unwrap();
        let mut first = world.new_user("first");
        (first.role, first.password_hash) = (Role::Admin, None);
        tx.insert_user(&first).await.unwrap();
        assert_eq!(tx.count_admins_with_password().await.unwrap(), 0);
        let mut second = world.new_user("second");
        second.role = Role::Admin;
        tx.insert_user(&second).await.unwrap();
        assert_eq!(tx.first_admin().await.unwrap(), Some(first));
        assert_eq!(tx.count_admins_with_password().await.unwrap(), 1);
    }

    async fn live_users_are_all_of_them(world: World) {
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        let live = |id| LiveUser { id, role: Role::User, is_active: true, token_epoch: 0 };
        assert_eq!(world.db.live_users().await.unwrap(), [live(ann.id), live(bob.id)]);
    }

    async fn a_person_with_keys_or_models_cannot_be_deleted(world: World) {
        let ann = world.user("ann").await;
        world.key(ann.id, "k").await;
        let model = world.model(ann.id, "iris").await;
        world.version(model, ann.id).await;
        let bob = world.user("bob").await;

        let mut tx = world.db.begin().await.unwrap();
        let refused = tx.delete_user(ann.id).await;
        assert!(matches!(refused, Err(StoreError::Reference(_))), "{refused:?}");
        drop(tx);

        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.keys_of_user(ann.id).await.unwrap().len(), 1);
        assert_eq!(tx.delete_keys_of_user(ann.id).await.unwrap(), 1);
        for model in tx.models_of_user(ann.id).await.unwrap() {
            tx.delete_model(model).await.unwrap();
        }
        assert!(tx.delete_user(ann.id).await.unwrap());
        assert!(!tx.delete_user(ann.id).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(world.db.users_page(ALL).await.unwrap().items, [bob]);
    }
}
