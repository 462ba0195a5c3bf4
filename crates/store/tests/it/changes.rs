//! The counter of changes, and what they were about.

use std::collections::HashSet;

use plimsoll_core::id::ModelId;
use plimsoll_store::Subject;

use crate::world::World;

/// Commits one change; answers the counter after it.
async fn change(world: &World, subject: Option<Subject>) -> i64 {
    let mut tx = world.db.begin().await.unwrap();
    match subject {
        Some(subject) => tx.touch_only(subject).await.unwrap(),
        None => tx.touch().await.unwrap(),
    }
    tx.commit().await.unwrap();
    world.db.change_counter().await.unwrap()
}

backends! {
    async fn a_committed_touch_moves_the_counter(world: World) {
        let before = world.db.change_counter().await.unwrap();
        let mut tx = world.db.begin().await.unwrap();
        tx.touch().await.unwrap();
        drop(tx);
        let mut tx = world.db.begin().await.unwrap();
        tx.touch().await.unwrap();
        assert_eq!(world.db.change_counter().await.unwrap(), before);
        tx.commit().await.unwrap();
        assert_eq!(world.db.change_counter().await.unwrap(), before + 1);
    }

    async fn changes_say_what_they_were_about_unless_one_was_about_anything(world: World) {
        let model = Subject::Model(ModelId::new(&world.ids));
        let about = async |from, to| world.db.subjects_changed(from, to).await.unwrap();
        let start = change(&world, None).await;
        assert_eq!(about(start, start).await, Some(HashSet::new()));
        change(&world, Some(model)).await;
        change(&world, Some(model)).await;
        let named = change(&world, Some(Subject::Accounts)).await;
        assert_eq!(about(start, named).await, Some(HashSet::from([model, Subject::Accounts])));
        let unnamed = change(&world, None).await;
        let after = change(&world, Some(model)).await;
        assert_eq!(about(start, after).await, None);
        assert_eq!(about(unnamed, after).await, Some(HashSet::from([model])));
    }
}
