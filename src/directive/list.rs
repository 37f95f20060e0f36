//! Values that are lists.

/// What each of the arguments means. `None` if there is no argument, one means nothing, or two
/// mean the same.
pub(super) fn distinct<T: PartialEq>(
    arguments: &[&str],
    meaning: impl Fn(&str) -> Option<T>,
) -> Option<Vec<T>> {
    let mut list = Vec::new();
    for argument in arguments {
        let value = meaning(argument)?;
        if list.contains(&value) {
            return None;
        }
        list.push(value);
    }
    (!list.is_empty()).then_some(list)
}

/// Adds `more` to a list, unless that has one of them already.
pub(super) fn add_new<T>(
    list: &mut Vec<T>,
    more: Vec<T>,
    is_same: impl Fn(&T, &T) -> bool,
) -> bool {
    if more.iter().any(|new| list.iter().any(|old| is_same(new, old))) {
        return false;
    }
    list.extend(more);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_holds_nothing_twice() {
        let digit = |word: &str| word.parse::<u8>().ok();
        assert_eq!(distinct(&["2", "1"], digit), Some(vec![2, 1]));
        for bad in [&[][..], &["1", "x"], &["1", "2", "01"]] {
            assert_eq!(distinct(bad, digit), None, "{bad:?}");
        }
        let mut list = vec![1, 2];
        assert!(add_new(&mut list, vec![3, 4], |one, other| one == other));
        assert!(!add_new(&mut list, vec![5, 4], |one, other| one == other));
        assert_eq!(list, [1, 2, 3, 4]);
    }
}
