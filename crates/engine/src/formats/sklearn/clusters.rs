//! Clusters around centres.

use super::classes::{Class, Reader};
use super::estimator::Estimator;
use super::plan::{Answers, HeadPlan, Missing, Need};
use crate::EngineError;
use crate::kernel::head::Head;
use crate::kernel::heads::clusters::{Choice, Clusters, Next};
use crate::reader::malformed;
use crate::reader::pickle::NodeId;

const MEANS: &str = "sklearn.cluster._kmeans";
const BISECTING: &str = "sklearn.cluster._bisect_k_means";

pub(super) const CLASSES: &[Class] = &[
    (BISECTING, "BisectingKMeans", Reader::Head(bisecting)),
    (BISECTING, "_BisectingTree", Reader::Part),
    (MEANS, "KMeans", Reader::Head(means)),
    (MEANS, "MiniBatchKMeans", Reader::Head(means)),
];

/// `KMeans` and `MiniBatchKMeans`: the nearest of all centres.
fn means(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let centres = estimator.numbers("cluster_centers_")?;
    let count = u32::try_from(centres.len() / features).unwrap_or(0);
    if count == 0 || !centres.len().is_multiple_of(features) {
        return Err(malformed(
            "cluster_centers_ holds no centres of all features",
        ));
    }
    let next = (0..count).map(Next::Cluster).collect();
    plan(estimator, vec![Choice { centres, next }])
}

/// `BisectingKMeans`: the nearer of two centres, from pair to pair
/// (`sklearn/cluster/_bisect_k_means.py`, `_predict_recursive`).
fn bisecting(estimator: Estimator<'_>) -> Result<HeadPlan<'_>, EngineError> {
    let features = estimator.features()?;
    let mean = match estimator.attribute("_X_mean") {
        Some(_) => estimator.numbers_of("_X_mean", features)?,
        None => vec![0.0; features],
    };
    // A tree of n leaves has n − 1 pairs: what has more leads in circles.
    let most = estimator.size("n_clusters")?;
    let mut nodes: Vec<NodeId> = vec![estimator.fitted("_bisecting_tree")?];
    let mut choices = Vec::new();
    while let Some(node) = nodes.get(choices.len()).copied() {
        if nodes.len() > most {
            return Err(malformed("a tree of clusters has more pairs than clusters"));
        }
        let node = estimator.child(node)?;
        let mut choice = Choice {
            centres: Vec::with_capacity(2 * features),
            next: Vec::with_capacity(2),
        };
        for side in ["left", "right"] {
            let child = estimator.child(node.fitted(side)?)?;
            let centre = child.numbers_of("center", features)?;
            choice
                .centres
                .extend(centre.iter().zip(&mean).map(|(x, mean)| x + mean));
            choice.next.push(if child.attribute("left").is_some() {
                nodes.push(child.id);
                Next::Choice(nodes.len() - 1)
            } else {
                let label = u32::try_from(child.size("label")?);
                Next::Cluster(label.map_err(|_| malformed("a cluster without a number"))?)
            });
        }
        choices.push(choice);
    }
    plan(estimator, choices)
}

fn plan(estimator: Estimator<'_>, choices: Vec<Choice>) -> Result<HeadPlan<'_>, EngineError> {
    let features = estimator.features()?;
    Ok(HeadPlan {
        from: estimator,
        needs: Need::numbers(features, Missing::Refused),
        answers: Answers::cluster(),
        head: Head::Clusters(Clusters { choices, features }),
    })
}
