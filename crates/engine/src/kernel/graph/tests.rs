use super::*;
use crate::kernel::rows::Why;

fn graph(takes: Shape, steps: Vec<Step>, values: Vec<Place>) -> Result<Graph, EngineError> {
    Graph::try_from(Parts {
        takes,
        steps,
        answers: Answers {
            values,
            ..Answers::default()
        },
    })
}

fn step(operation: Operation, from: &[Place], width: usize) -> Step {
    Step {
        operation,
        from: from.to_vec(),
        width,
    }
}

fn values(graph: &Graph, rows: Rows<'_, '_>) -> Result<Vec<f64>, Unusable> {
    let mut answer = Answer::default();
    graph.predict(rows, &mut answer, &mut Scratch::default())?;
    Ok(answer.values)
}

#[test]
fn operations_take_what_others_made_and_round_to_single_precision() {
    let scale = Operation::Scale {
        offset: vec![0.1_f32.into(); 2],
        scale: vec![3.0; 2],
    };
    let steps = vec![
        step(scale, &[Place::Rows], 2),
        step(Operation::Select(vec![1]), &[Place::Made(0)], 1),
        step(Operation::Join, &[Place::Made(0), Place::Made(1)], 3),
    ];
    let graph = graph(Shape::numbers(2), steps, vec![Place::Made(2), Place::Rows]).unwrap();
    assert_eq!(graph.gives().values, 5);
    let row = [f64::from(0.7_f32), 1.0];
    let single = |x: f32| f64::from((x - 0.1_f32) * 3.0);
    let expected = [single(0.7), single(1.0), single(1.0), row[0], row[1]];
    assert_eq!(values(&graph, Rows::of_numbers(&row, 2)).unwrap(), expected);
}

#[test]
fn a_graph_that_does_not_fit_itself_is_refused() {
    let narrow = || Operation::Narrow;
    let two = Shape::numbers(2);
    let refused = [
        graph(two, vec![step(narrow(), &[Place::Made(0)], 2)], vec![]),
        graph(two, vec![step(narrow(), &[Place::Rows], 3)], vec![]),
        graph(two, vec![step(narrow(), &[], 2)], vec![]),
        graph(
            two,
            vec![step(Operation::Select(vec![2]), &[Place::Rows], 1)],
            vec![],
        ),
        graph(two, vec![], vec![Place::Made(0)]),
    ];
    for graph in refused {
        assert!(graph.is_err());
    }
    let codes = Dictionary::of_numbers(vec![(1.0, 3.0)], -1.0).unwrap();
    let one_hot = Operation::OneHot {
        codes,
        categories: 3,
        refuses: false,
    };
    assert!(graph(two, vec![step(one_hot, &[Place::Rows], 6)], vec![]).is_err());
}

#[test]
fn an_unknown_category_is_named_by_its_column() {
    let pairs = vec![("a".to_owned(), 0.0), ("b".to_owned(), 1.0)];
    let one_hot = Operation::OneHot {
        codes: Dictionary::of_texts(vec![1, 0], pairs, -1.0).unwrap(),
        categories: 2,
        refuses: true,
    };
    let takes = Shape {
        numbers: 0,
        texts: 2,
    };
    let graph = graph(takes, vec![step(one_hot, &[], 4)], vec![Place::Made(0)]).unwrap();
    let rows = |texts| Rows {
        count: 1,
        shape: takes,
        numbers: &[],
        sparse: None,
        texts,
    };
    let known = values(&graph, rows(&[Some("a"), Some("b")])).unwrap();
    assert_eq!(known, [0.0, 1.0, 1.0, 0.0]);
    let unknown = values(&graph, rows(&[Some("c"), Some("b")])).unwrap_err();
    let column = Some(crate::kernel::rows::Column::Text(0));
    assert_eq!((unknown.why, unknown.column), (Why::Unknown, column));
}

#[test]
fn a_dictionary_knows_nan_and_one_zero() {
    let pairs = vec![(f64::NAN, 5.0), (0.0, 1.0), (-0.0, 2.0)];
    let look = Operation::Look(Dictionary::of_numbers(pairs, 9.0).unwrap());
    let graph = graph(
        Shape::numbers(1),
        vec![step(look, &[Place::Rows], 1)],
        vec![Place::Made(0)],
    );
    let rows = [-0.0, -f64::NAN, 3.0];
    let found = values(&graph.unwrap(), Rows::of_numbers(&rows, 1)).unwrap();
    assert_eq!(found, [1.0, 5.0, 9.0]);
}
