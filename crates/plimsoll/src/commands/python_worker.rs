//! `python-worker`: confines this process and becomes Python.

use plimsoll_python::Confinement;

use crate::output::{Exit, Failure, Outcome};

/// Returns only if it failed: Python takes this process over.
pub(crate) fn run(order: &str) -> Outcome {
    let order: Confinement =
        serde_json::from_str(order).map_err(|error| Failure::caused(Exit::Usage, &error))?;
    let error = order.become_python();
    Err(Failure::caused(Exit::Unavailable, &error))
}
