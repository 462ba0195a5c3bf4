//! Refresh tokens: used once, revoked by family.

use std::time::Duration;

use plimsoll_core::id::{FamilyId, UserId};
use plimsoll_core::time::Timestamp;
use plimsoll_store::RefreshRow;
use tokio::task::JoinSet;

use crate::world::World;

const DAY: Duration = Duration::from_hours(24);

async fn token(world: &World, user: UserId, family: FamilyId, fill: u8) -> RefreshRow {
    let now = world.now();
    let row = RefreshRow {
        hash: [fill; 32],
        family_id: family,
        user_id: user,
        created_at: now,
        expires_at: now.plus(7 * DAY),
        family_expires_at: now.plus(30 * DAY),
        used_at: None,
        revoked_at: None,
    };
    let mut tx = world.db.begin().await.unwrap();
    tx.insert_refresh(&row).await.unwrap();
    assert_eq!(
        tx.refresh_by_hash(&row.hash).await.unwrap().as_ref(),
        Some(&row)
    );
    tx.commit().await.unwrap();
    row
}

async fn revoked_at(world: &World, fill: u8) -> Option<Timestamp> {
    let row = world.db.refresh_by_hash(&[fill; 32]).await.unwrap();
    row.unwrap().revoked_at
}

backends! {
    async fn a_token_is_used_up_once_however_many_try(world: World) {
        let ann = world.user("ann").await;
        let token = token(&world, ann.id, FamilyId::new(&world.ids), 1).await;
        let now = world.now();
        let mut attempts = JoinSet::new();
        for _ in 0..20 {
            let (db, hash) = (world.db.clone(), token.hash);
            attempts.spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let won = tx.mark_refresh_used(&hash, now).await.unwrap();
                tx.commit().await.unwrap();
                won
            });
        }
        let wins = attempts.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!(wins, 1);
        let row = world.db.refresh_by_hash(&token.hash).await.unwrap().unwrap();
        assert_eq!(row, RefreshRow { used_at: Some(now), ..token });
        assert_eq!(world.db.refresh_by_hash(&[9; 32]).await.unwrap(), None);
    }

    async fn a_family_is_revoked_alone(world: World) {
        let ann = world.user("ann").await;
        let (one, other) = (FamilyId::new(&world.ids), FamilyId::new(&world.ids));
        for (family, fill) in [(one, 1), (one, 2), (other, 3)] {
            token(&world, ann.id, family, fill).await;
        }
        let now = world.now();
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.revoke_refresh_family(one, now).await.unwrap(), 2);
        assert_eq!(tx.revoke_refresh_family(one, world.now()).await.unwrap(), 0);
        assert!(!tx.mark_refresh_used(&[1; 32], now).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(revoked_at(&world, 2).await, Some(now));
        assert_eq!(revoked_at(&world, 3).await, None);
    }

    async fn all_tokens_of_a_person_are_revoked_together(world: World) {
        let (ann, bob) = (world.user("ann").await, world.user("bob").await);
        for (user, fill) in [(ann.id, 1), (ann.id, 2), (bob.id, 3)] {
            token(&world, user, FamilyId::new(&world.ids), fill).await;
        }
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.revoke_refresh_of_user(ann.id, world.now()).await.unwrap(), 2);
        tx.commit().await.unwrap();
        assert!(revoked_at(&world, 1).await.is_some());
        assert_eq!(revoked_at(&world, 3).await, None);
    }

    async fn only_tokens_of_expired_families_are_purged_and_a_persons_go_with_them(world: World) {
        let ann = world.user("ann").await;
        let old = token(&world, ann.id, FamilyId::new(&world.ids), 1).await;
        let young = token(&world, ann.id, FamilyId::new(&world.ids), 2).await;
        let mut tx = world.db.begin().await.unwrap();
        assert_eq!(tx.purge_refresh(old.expires_at).await.unwrap(), 0);
        assert_eq!(tx.purge_refresh(old.family_expires_at).await.unwrap(), 1);
        assert!(tx.refresh_by_hash(&young.hash).await.unwrap().is_some());
        assert!(tx.delete_user(ann.id).await.unwrap());
        assert!(tx.refresh_by_hash(&young.hash).await.unwrap().is_none());
    }
}
