//! The heads of models: each answers for the rows it is given.

use serde::{Deserialize, Serialize};

use super::graph::Graph;
use super::heads::adaboost::{AdaBoost, Median};
use super::heads::boosting::Boosting;
use super::heads::calibrated::Calibrated;
use super::heads::clusters::Clusters;
use super::heads::constant::Constant;
use super::heads::forest::Grove;
use super::heads::generative::Generative;
use super::heads::isolation::Isolation;
use super::heads::isotonic::Isotonic;
use super::heads::layers::Layers;
use super::heads::linear::{LinearClassifier, LinearOutlier, LinearRegression};
use super::heads::neighbours::Neighbours;
use super::heads::outputs::{Chain, SideBySide};
use super::heads::rivals::{OneVsOne, OneVsRest, OutputCode};
use super::heads::stack::Stack;
use super::heads::svm::{SupportClassifier, SupportSum};
use super::heads::target::Target;
use super::heads::threshold::Threshold;
use super::heads::vote::{Mean, Vote};
use super::rows::{Rows, Scratch, Shape, Unusable};

/// What is answered, row by row. A head appends to the parts it has.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Classifiers: index of the class of each row.
    pub(crate) labels: Vec<u32>,
    /// Classifiers that know them: `rows × classes` probabilities.
    pub(crate) probabilities: Vec<f64>,
    /// Everything else: `rows × values` numbers.
    pub(crate) values: Vec<f64>,
}

/// Elements of one row's answer in each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gives {
    /// Classes a label may mean; 0 if there are no labels.
    pub(crate) classes: usize,
    /// Whether there are probabilities of these classes.
    pub(crate) probabilities: bool,
    /// Numbers among the values.
    pub(crate) values: usize,
    /// Numbers that [`Answering::decide`] gives; 0 if it cannot.
    pub(crate) scores: usize,
}

/// What every head can do.
pub(crate) trait Answering {
    /// Columns it takes.
    fn takes(&self) -> Shape;

    /// What it answers.
    fn gives(&self) -> Gives;

    /// Refuses values that it cannot use: infinite and missing ones, unless it knows better.
    fn check(&self, rows: Rows<'_, '_>) -> Result<(), Unusable> {
        rows.refuse_unusable(false)
    }

    /// Whether it takes sparse rows as they are; it is given all their zeros otherwise.
    fn takes_sparse(&self) -> bool {
        false
    }

    /// Appends the answer for each of `rows`, which were checked.
    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable>;

    /// Appends what scikit-learn calls `decision_function` of each of `rows`:
    /// as many numbers a row as [`Gives::scores`] says.
    fn decide(
        &self,
        rows: Rows<'_, '_>,
        scores: &mut Vec<f64>,
        scratch: &mut Scratch,
    ) -> Result<(), Unusable> {
        let _ = (rows, scores, scratch);
        Ok(())
    }

    /// Numbers of the widest rows it works with.
    fn widest(&self) -> usize {
        self.takes().numbers
    }

    /// Bytes of memory kept.
    fn bytes(&self) -> usize;

    /// A rough guess of the nanoseconds one row takes.
    fn nanos_per_row(&self) -> usize;
}

/// The part of a model that answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Head {
    /// The rows themselves, after the steps: so many columns.
    Rows(RowsThemselves),
    /// A linear regression.
    LinearRegression(LinearRegression),
    /// A linear classifier.
    LinearClassifier(LinearClassifier),
    /// A plane between what is normal and what is not.
    LinearOutlier(LinearOutlier),
    /// A classifier that knows how likely a row is in each class.
    Generative(Generative),
    /// Dense layers one after the other.
    Layers(Layers),
    /// The training rows nearest to a row.
    Neighbours(Neighbours),
    /// The nearest of several centres.
    Clusters(Clusters),
    /// The same for every row.
    Constant(Constant),
    /// A support vector machine that lets pairs of classes vote.
    SupportClassifier(SupportClassifier),
    /// A support vector machine that answers a number.
    SupportSum(SupportSum),
    /// Trees whose leaves are averaged.
    Grove(Grove),
    /// Trees whose leaves are added up.
    Boosting(Boosting),
    /// Trees that set outliers apart.
    Isolation(Isolation),
    /// A curve over one column.
    Isotonic(Isotonic),
    /// Members that vote.
    Vote(Vote),
    /// Members whose numbers are averaged.
    Mean(Mean),
    /// A model over the answers of its members.
    Stack(Stack),
    /// Classifiers that were fitted one after the other.
    AdaBoost(AdaBoost),
    /// Regressors of which the weighted median answers.
    Median(Median),
    /// Classifiers whose scores are made into probabilities.
    Calibrated(Calibrated),
    /// A classifier for each class.
    OneVsRest(OneVsRest),
    /// A classifier for each pair of classes.
    OneVsOne(OneVsOne),
    /// A classifier for each digit of a code.
    OutputCode(OutputCode),
    /// A member for each output.
    SideBySide(SideBySide),
    /// A member for each output, each seeing those before it.
    Chain(Chain),
    /// A regressor whose answers are changed back.
    Target(Target),
    /// A classifier with a threshold of its own.
    Threshold(Threshold),
    /// Operations that take what others made.
    Graph(Graph),
}

/// The head of a model that only changes rows: so many columns of numbers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RowsThemselves(pub(crate) usize);

impl Head {
    /// How the head answers.
    pub(crate) fn kernel(&self) -> &dyn Answering {
        match self {
            Self::Rows(kernel) => kernel,
            Self::LinearRegression(kernel) => kernel,
            Self::LinearClassifier(kernel) => kernel,
            Self::LinearOutlier(kernel) => kernel,
            Self::Generative(kernel) => kernel,
            Self::Layers(kernel) => kernel,
            Self::Neighbours(kernel) => kernel,
            Self::Clusters(kernel) => kernel,
            Self::Constant(kernel) => kernel,
            Self::SupportClassifier(kernel) => kernel,
            Self::SupportSum(kernel) => kernel,
            Self::Grove(kernel) => kernel,
            Self::Boosting(kernel) => kernel,
            Self::Isolation(kernel) => kernel,
            Self::Isotonic(kernel) => kernel,
            Self::Vote(kernel) => kernel,
            Self::Mean(kernel) => kernel,
            Self::Stack(kernel) => kernel,
            Self::AdaBoost(kernel) => kernel,
            Self::Median(kernel) => kernel,
            Self::Calibrated(kernel) => kernel,
            Self::OneVsRest(kernel) => kernel,
            Self::OneVsOne(kernel) => kernel,
            Self::OutputCode(kernel) => kernel,
            Self::SideBySide(kernel) => kernel,
            Self::Chain(kernel) => kernel,
            Self::Target(kernel) => kernel,
            Self::Threshold(kernel) => kernel,
            Self::Graph(kernel) => kernel,
        }
    }
}

impl Answering for RowsThemselves {
    fn takes(&self) -> Shape {
        Shape::numbers(self.0)
    }

    fn gives(&self) -> Gives {
        Gives {
            values: self.0,
            ..Gives::default()
        }
    }

    /// What is missing after the steps is answered as missing.
    fn check(&self, rows: Rows<'_, '_>) -> Result<(), Unusable> {
        rows.refuse_unusable(true)
    }

    fn predict(
        &self,
        rows: Rows<'_, '_>,
        answer: &mut Answer,
        _: &mut Scratch,
    ) -> Result<(), Unusable> {
        answer.values.extend_from_slice(rows.numbers);
        Ok(())
    }

    fn bytes(&self) -> usize {
        0
    }

    fn nanos_per_row(&self) -> usize {
        0
    }
}

impl Answer {
    /// Forgets the answer but keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.labels.clear();
        self.probabilities.clear();
        self.values.clear();
    }
}
