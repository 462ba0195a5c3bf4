use super::*;

type Forest = Trees<Single, f64>;

/// Feature 0 against 0.5, then feature 1 against −1 on the right; missing goes left, then right.
fn stump() -> RawTree {
    RawTree {
        left: vec![1, -1, 3, -1, -1],
        right: vec![2, -1, 4, -1, -1],
        feature: vec![0, -2, 1, -2, -2],
        threshold: vec![0.5, -2.0, -1.0, -2.0, -2.0],
        missing_left: Some(vec![true, false, false, false, false]),
        values: vec![0.0, 10.0, 0.0, 20.0, 30.0],
        special: BTreeMap::new(),
    }
}

fn sums<N: Node>(trees: &Trees<N, f64>, rows: &[N::Number]) -> Vec<f64> {
    let mut sums = vec![0.0; rows.len() / trees.features * trees.sums];
    let missing = rows.iter().any(|x| (*x).into().is_nan());
    trees.add(rows, missing, &mut sums);
    sums
}

#[test]
fn rows_reach_the_leaf_their_features_lead_to() {
    let cases = [
        ([0.5, 9.0], 10.0),
        ([0.6, -1.0], 20.0),
        ([0.6, -0.9], 30.0),
        ([f32::NAN, 9.0], 10.0),
        ([0.6, f32::NAN], 30.0),
    ];
    let (mut single, mut double) = (Forest::new(2, 1), Trees::<Double, f64>::new(2, 1));
    single.push(&stump(), 0).unwrap();
    double.push(&stump(), 0).unwrap();
    for count in [1, 5, 19] {
        let cases: Vec<_> = cases.iter().cycle().take(count).collect();
        let rows: Vec<f32> = cases.iter().flat_map(|(row, _)| *row).collect();
        let wide: Vec<f64> = rows.iter().map(|x| f64::from(*x)).collect();
        let expected: Vec<f64> = cases.iter().map(|(_, value)| *value).collect();
        assert_eq!(sums(&single, &rows), expected);
        assert_eq!(sums(&double, &wide), expected);
    }
}

#[test]
fn trees_are_added_up_and_each_to_the_sum_it_is_for() {
    let mut other = stump();
    other.values = vec![0.0, 1.0, 0.0, 2.0, 3.0];
    let mut trees = Trees::<Single, f64>::for_sums(2, 2);
    for index in 0..23 {
        let tree = if index % 2 == 0 {
            stump()
        } else {
            other.clone()
        };
        trees.push(&tree, index % 2).unwrap();
    }
    assert_eq!(sums(&trees, &[0.0, 0.0]), [120.0, 11.0]);
    assert_eq!(sums(&trees, &[0.0; 40]), [120.0, 11.0].repeat(20));
}

#[test]
fn a_row_of_doubles_is_not_narrowed() {
    let mut tree = stump();
    tree.threshold[0] = 0.1;
    let mut trees = Trees::<Double, f64>::new(2, 1);
    trees.push(&tree, 0).unwrap();
    assert_eq!(
        sums(&trees, &[0.1, 0.0, 0.1_f64.next_up(), 0.0]),
        [10.0, 30.0]
    );
}

#[test]
fn a_zero_is_missing_and_a_category_is_looked_up_where_a_node_says_so() {
    let mut tree = stump();
    tree.special.insert(0, Special::ZeroMissing);
    let set = Set {
        members: vec![0b10],
        members_left: true,
        known: None,
        truncates: false,
    };
    tree.special.insert(2, Special::In(set));
    tree.threshold[0] = -1.0;
    let (mut single, mut double) = (Forest::new(2, 1), Trees::<Double, f64>::new(2, 1));
    single.push(&tree, 0).unwrap();
    double.push(&tree, 0).unwrap();
    let rows = [0.0, 9.0, -2.0, 9.0, 2.0, 1.0, 2.0, 0.0, 2.0, f64::NAN];
    let narrow = rows.map(|x| x as f32);
    let expected = [10.0, 10.0, 20.0, 30.0, 30.0];
    assert_eq!(sums(&double, &rows), expected);
    assert_eq!(sums(&single, &narrow), expected);
}

#[test]
fn what_is_no_tree_is_refused() {
    let breaks: [fn(&mut RawTree); 9] = [
        |t| t.left[2] = 0,
        |t| t.right[0] = 1,
        |t| t.right[0] = 99,
        |t| t.right[0] = -1,
        |t| t.feature[0] = 2,
        |t| t.feature[2] = -2,
        |t| t.threshold[0] = f64::NAN,
        |t| t.values.truncate(4),
        |t| *t = RawTree::default(),
    ];
    for (index, damage) in breaks.iter().enumerate() {
        let mut tree = stump();
        damage(&mut tree);
        assert!(Forest::new(2, 1).push(&tree, 0).is_err(), "case {index}");
        assert!(
            Trees::<Double, f32>::new(2, 1).push(&tree, 0).is_err(),
            "case {index}"
        );
    }
    assert!(Forest::new(2, 1).push(&stump(), 1).is_err());
}
