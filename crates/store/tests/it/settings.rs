//! Settings and the change counter.

use plimsoll_store::SettingRow;
use tokio::task::JoinSet;

backends! {
    async fn a_setting_is_replaced_and_removed_once(world: World) {
        assert_eq!(world.db.setting("setup").await.unwrap(), None);
        let mut tx = world.db.begin().await.unwrap();
        tx.set_setting("setup", "one", world.now()).await.unwrap();
        let now = world.now();
        tx.set_setting("setup", "two", now).await.unwrap();
        let expected = SettingRow { name: "setup".into(), value: "two".into(), updated_at: now };
        assert_eq!(tx.setting("setup").await.unwrap().as_ref(), Some(&expected));
        tx.commit().await.unwrap();
        assert_eq!(world.db.setting("setup").await.unwrap(), Some(expected));
        let mut tx = world.db.begin().await.unwrap();
        assert!(tx.delete_setting("setup").await.unwrap());
        assert!(!tx.delete_setting("setup").await.unwrap());
    }

    async fn replicas_that_start_at_once_agree_on_a_secret(world: World) {
        let now = world.now();
        let mut starts = JoinSet::new();
        for replica in 0..10 {
            let db = world.db.clone();
            starts.spawn(async move {
                let mut tx = db.begin().await.unwrap();
                let mine = replica.to_string();
                let held = tx.setting_or_insert("secret", &mine, now).await.unwrap();
                tx.commit().await.unwrap();
                held.value
            });
        }
        let values = starts.join_all().await;
        let agreed = world.db.setting("secret").await.unwrap().unwrap().value;
        assert_eq!(values, vec![agreed; 10]);
    }
}
