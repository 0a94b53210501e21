//! What flows remember.

use super::*;

fn fact(object: &str, field: &str, data: &str, open: bool) -> Fact {
    Fact {
        flow: "metadata".into(),
        object: object.into(),
        field: field.into(),
        data: data.into(),
        open,
        at: 7,
    }
}

#[tokio::test]
async fn facts_are_replaced_listed_and_counted_while_they_are_open() {
    let place = Place::new();
    let ledger = place.open();
    let change = Change::new()
        .fact(fact("a", "campaign", "1", false))
        .fact(fact("a", "region", "2", true))
        .fact(fact("b", "campaign", "3", true))
        .fact(fact("a", "campaign", "4", false));
    ledger.apply(change).await.unwrap();
    let of_a = ledger.remembered("metadata", "a").await.unwrap();
    assert_eq!(
        of_a,
        [
            fact("a", "campaign", "4", false),
            fact("a", "region", "2", true)
        ]
    );
    assert!(ledger.remembered("approval", "a").await.unwrap().is_empty());
    let reader = Reader::open(ledger.path()).unwrap();
    let open = reader
        .remembered_page("metadata", ("", ""), true, 9)
        .unwrap();
    assert_eq!(open.len(), 2);
    let rest = reader
        .remembered_page("metadata", ("a", "campaign"), false, 1)
        .unwrap();
    assert_eq!(rest, [fact("a", "region", "2", true)]);
    assert_eq!(
        reader.open_questions().unwrap(),
        [("metadata".to_owned(), 2)]
    );
    ledger
        .apply(Change::new().fact(fact("a", "region", "2", false)))
        .await
        .unwrap();
    assert_eq!(
        reader.open_questions().unwrap(),
        [("metadata".to_owned(), 1)]
    );
}
