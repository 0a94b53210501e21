//! Which workflow an asset goes into, and with which form values.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::content_server::{Client, DraftForm, WorkflowMap};
use crate::flows::publish::Template;
use crate::sidecar::mapping::{Binding, Bound};
use crate::transfer::Destination as _;
use crate::types::{Failure, NodeId};

/// A way that an asset may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What people call it: `legal`.
    pub name: String,
    /// The workflow map, by name or node id.
    pub map: String,
    /// Values by field, one of which the asset must have for each; none for every asset.
    pub when: BTreeMap<String, Vec<String>>,
    /// Values for the form, by its label or key.
    pub form: BTreeMap<String, Template>,
}

/// An asset's values, in both systems' spelling.
pub(super) struct Fields<'a> {
    bound: Bound,
    source: &'a BTreeMap<String, Vec<Value>>,
    title: String,
    asset: String,
}

impl<'a> Fields<'a> {
    pub(super) fn new(
        binding: &Binding,
        source: &'a BTreeMap<String, Vec<Value>>,
        title: &str,
        asset: &str,
    ) -> Self {
        Self {
            bound: binding.bind(source),
            source,
            title: title.to_owned(),
            asset: asset.to_owned(),
        }
    }

    /// Every value that a field has in either spelling: a mapped field by its name here, any by
    /// iconik's.
    fn words(&self, field: &str) -> Vec<String> {
        let mapped = self.mapped(field);
        let mapped = mapped
            .iter()
            .flat_map(|own| own.written.iter().chain(&own.source));
        let source = self.source.get(field).into_iter().flatten();
        mapped.chain(source).map(text).collect()
    }

    fn mapped(&self, field: &str) -> Option<&crate::sidecar::mapping::FieldOutcome> {
        self.bound.fields.iter().find(|own| own.field == field)
    }

    /// The values that a form gets.
    fn values(&self, field: &str) -> Vec<Value> {
        match (field, self.mapped(field)) {
            ("title", _) => vec![self.title.as_str().into()],
            ("asset_id", _) => vec![self.asset.as_str().into()],
            (_, Some(own)) => own.written.clone(),
            (_, None) => self.source.get(field).cloned().unwrap_or_default(),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.strip_suffix("T00:00:00").unwrap_or(text).to_owned(),
        other => other.to_string(),
    }
}

/// For each route whether its map can be started by us for a document: the map's id, or why not.
///
/// # Errors
///
/// As any read.
pub async fn startable(
    client: &Client,
    document: NodeId,
    routes: &[Route],
) -> Result<Vec<Result<i64, String>>, Failure> {
    let at = client.node(document).await?;
    let maps = client.workflow_maps(document, at.parent).await?;
    Ok(routes.iter().map(|route| route.find_map(&maps)).collect())
}

impl Route {
    fn takes(&self, fields: &Fields<'_>) -> bool {
        self.when.iter().all(|(field, wanted)| {
            let words = fields.words(field);
            words.iter().any(|word| wanted.contains(word))
        })
    }

    /// The map's id.
    ///
    /// # Errors
    ///
    /// Why there is none, for people.
    pub(super) fn find_map(&self, offered: &[WorkflowMap]) -> Result<i64, String> {
        let wanted = self.map.trim();
        let named: Vec<&WorkflowMap> = offered
            .iter()
            .filter(|map| {
                map.name.trim().eq_ignore_ascii_case(wanted) || map.id.to_string() == wanted
            })
            .collect();
        match named.as_slice() {
            [map] => Ok(map.id),
            [] => {
                let names: Vec<String> = offered
                    .iter()
                    .map(|map| format!("{:?} ({})", map.name, map.id))
                    .collect();
                let there = match names.as_slice() {
                    [] => "the server offers none".to_owned(),
                    names => format!("the server offers {}", names.join(", ")),
                };
                Err(format!(
                    "`approval.routes.{}` names the workflow map {wanted:?}, which cannot be started for this document: {there}; name another, or let longhaul's user start it",
                    self.name
                ))
            }
            several => Err(format!(
                "`approval.routes.{}` names the workflow map {wanted:?}, and there are {} of that name; give its node id",
                self.name,
                several.len()
            )),
        }
    }

    /// Whether the draft's form has to be read to find what the labels mean.
    pub(super) fn needs_form(&self) -> bool {
        self.form.keys().any(|key| !is_key(key))
    }

    /// The form's values by key. What has no value is left out: a form takes no empty number.
    ///
    /// # Errors
    ///
    /// The label that the form does not have.
    pub(super) fn values(
        &self,
        fields: &Fields<'_>,
        form: Option<&DraftForm>,
    ) -> Result<BTreeMap<String, Value>, String> {
        let mut values = BTreeMap::new();
        for (label, template) in &self.form {
            let key = if is_key(label) {
                label.clone()
            } else {
                let shown = form.iter().flat_map(|form| &form.fields);
                let found = shown
                    .clone()
                    .find(|(_, shown)| shown.trim().eq_ignore_ascii_case(label.trim()));
                let Some((key, _)) = found else {
                    let labels: Vec<&str> = shown.map(|(_, shown)| shown.as_str()).collect();
                    return Err(format!(
                        "`approval.routes.{}.form` fills {label:?}, and the form of the workflow has {}",
                        self.name,
                        if labels.is_empty() {
                            "no labels; give the key (`WorkflowForm_10`)".to_owned()
                        } else {
                            labels.join(", ")
                        }
                    ));
                };
                key.clone()
            };
            let value = match template.only_field() {
                // A number stays one.
                Some(field) => match fields.values(field).as_slice() {
                    [] => None,
                    [one] => Some(one.clone()),
                    several => {
                        let words: Vec<String> = several.iter().map(text).collect();
                        Some(words.join(", ").into())
                    }
                },
                None => template
                    .fill(|field| fields.values(field).first().map(text))
                    .ok()
                    .map(Value::from),
            };
            if let Some(value) = value {
                values.insert(key, value);
            }
        }
        Ok(values)
    }
}

fn is_key(label: &str) -> bool {
    label.starts_with("WorkflowForm_")
}

/// The first route that takes an asset.
///
/// # Errors
///
/// Why none does, for people.
pub(super) fn choose<'a>(routes: &'a [Route], fields: &Fields<'_>) -> Result<&'a Route, String> {
    routes
        .iter()
        .find(|route| route.takes(fields))
        .ok_or_else(|| {
            let mut asked: Vec<&str> = routes
                .iter()
                .flat_map(|route| route.when.keys().map(String::as_str))
                .collect();
            asked.sort_unstable();
            asked.dedup();
            let has: Vec<String> = asked
                .iter()
                .map(|field| match fields.words(field).as_slice() {
                    [] => format!("`{field}` is empty"),
                    words => format!("`{field}` is {}", words.join(", ")),
                })
                .collect();
            format!(
                "no route of `approval.routes` takes it: {}; add a route, or one without `when` for the rest",
                has.join(", ")
            )
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn route(name: &str, map: &str, when: &[(&str, &str)]) -> Route {
        let when = when.iter();
        Route {
            name: name.to_owned(),
            map: map.to_owned(),
            when: when
                .map(|(field, value)| ((*field).to_owned(), vec![(*value).to_owned()]))
                .collect(),
            form: BTreeMap::new(),
        }
    }

    fn maps() -> Vec<WorkflowMap> {
        let of = |id: i64, name: &str| WorkflowMap {
            id,
            name: name.to_owned(),
        };
        vec![of(1, "Legal review"), of(2, "Twice"), of(3, "twice")]
    }

    #[test]
    fn the_first_route_that_fits_is_taken_and_none_says_what_the_asset_has() {
        let routes = [
            route("legal", "1", &[("rights", "restricted")]),
            route("marketing", "2", &[("region", "emea"), ("channel", "tv")]),
        ];
        let chosen = |values: &[(&str, &str)]| {
            let source = values
                .iter()
                .map(|(field, value)| ((*field).to_owned(), vec![json!(value)]))
                .collect();
            let fields = Fields::new(&Binding::default(), &source, "t", "a");
            choose(&routes, &fields).map(|route| route.name.clone())
        };
        assert_eq!(
            chosen(&[
                ("rights", "restricted"),
                ("region", "emea"),
                ("channel", "tv")
            ])
            .unwrap(),
            "legal"
        );
        assert_eq!(
            chosen(&[("region", "emea"), ("channel", "tv")]).unwrap(),
            "marketing"
        );
        let said = chosen(&[("region", "emea")]).unwrap_err();
        assert!(said.contains("`channel` is empty") && said.contains("`region` is emea"));
    }

    #[test]
    fn a_map_is_found_by_name_or_id_or_the_offer_is_named() {
        assert_eq!(route("a", "legal REVIEW", &[]).find_map(&maps()), Ok(1));
        assert_eq!(route("a", "3", &[]).find_map(&maps()), Ok(3));
        let said = route("a", "Twice", &[]).find_map(&maps()).unwrap_err();
        assert!(said.contains("node id"), "{said}");
        let said = route("a", "Gone", &[]).find_map(&maps()).unwrap_err();
        assert!(said.contains("\"Legal review\" (1)"), "{said}");
    }

    #[test]
    fn form_values_go_by_label_or_key_and_what_is_empty_stays_out() {
        let template = |text: &str| Template::parse(text).unwrap();
        let mut route = route("a", "1", &[]);
        for (label, text) in [
            ("Campaign", "{campaign}"),
            ("WorkflowForm_7", "{title} of {campaign}"),
            ("WorkflowForm_8", "{takes}"),
            ("WorkflowForm_9", "{nothing}"),
        ] {
            route.form.insert(label.to_owned(), template(text));
        }
        let source = BTreeMap::from([
            ("campaign".to_owned(), vec![json!("Spring")]),
            ("takes".to_owned(), vec![json!(3)]),
        ]);
        let fields = Fields::new(&Binding::default(), &source, "Spot", "a");
        assert!(route.needs_form());
        let mut form = DraftForm::default();
        let said = route.values(&fields, Some(&form)).unwrap_err();
        assert!(said.contains("give the key"), "{said}");
        form.fields
            .insert("WorkflowForm_2".to_owned(), "campaign".to_owned());
        let values = json!(route.values(&fields, Some(&form)).unwrap());
        assert_eq!(
            values,
            json!({"WorkflowForm_2": "Spring", "WorkflowForm_7": "Spot of Spring", "WorkflowForm_8": 3})
        );
    }
}
