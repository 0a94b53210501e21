//! Forms for people (Alpaca) about nodes and versions: what can be said, and what is so far.

use serde_json::{Map, Value, json};

use super::super::answer::{Answer, Outcome, Refusal};
use super::super::call::Call;
use super::super::categories::{self, sent_to};
use super::super::permissions::Rights;
use super::super::versions::{self, Version};
use super::super::world::World;
use super::create::admit;
use super::properties::{self, size_text};
use super::tree::Node;
use super::types::{DOCUMENT, GENERATION, Kind, SHORTCUT, URL};

/// One field of a form.
struct Field {
    key: &'static str,
    label: &'static str,
    /// The control that people see.
    control: &'static str,
    value: Value,
    required: bool,
    readonly: bool,
}

/// A field that people fill.
fn field(key: &'static str, label: &'static str, control: &'static str, value: Value) -> Field {
    Field {
        key,
        label,
        control,
        value,
        required: false,
        readonly: false,
    }
}

impl Field {
    fn required(mut self) -> Self {
        self.required = true;
        self
    }

    fn shown(mut self) -> Self {
        self.readonly = true;
        self
    }

    /// What it holds.
    fn kind(&self) -> &'static str {
        match self.control {
            "integer" | "otcs_user_picker" | "otcs_node_picker" | "select" => "integer",
            "checkbox" => "boolean",
            _ => "string",
        }
    }
}

fn form(method: &str, action: &str, all: Vec<Field>) -> Value {
    let (mut data, mut fields, mut properties) = (Map::new(), Map::new(), Map::new());
    for field in all {
        let mut holds = json!({
            "readonly": field.readonly, "required": field.required, "title": field.label, "type": field.kind(),
        });
        match field.key {
            "name" => {
                holds["minLength"] = 1.into();
                holds["maxLength"] = 248.into();
            }
            _ if field.control == "datetime" => holds["format"] = "datetime".into(),
            _ => {}
        }
        properties.insert(field.key.to_owned(), holds);
        let shown = json!({
            "hidden": false, "hideInitValidationError": true, "label": field.label,
            "readonly": field.readonly, "type": field.control,
        });
        fields.insert(field.key.to_owned(), shown);
        data.insert(field.key.to_owned(), field.value);
    }
    json!({
        "data": data,
        "options": {"fields": fields, "form": sent_to(method, action)},
        "schema": {"properties": properties, "type": "object"},
    })
}

fn answer(forms: Vec<Value>) -> Outcome {
    Ok(Answer::Json(json!({"forms": forms})))
}

fn seen<'a>(world: &'a World, call: &Call, id: i64) -> Result<&'a Node, Refusal> {
    let missing = || Refusal::failed(format!("Could not get a node for {id}"));
    world.visible(call.user, id).ok_or_else(missing)
}

fn own<'a>(world: &'a World, call: &Call) -> Result<&'a Node, Refusal> {
    seen(world, call, call.arguments.required("id")?)
}

/// Whether the caller could make a node of that subtype in a container.
///
/// # Errors
///
/// The refusals of the form for it.
pub(in super::super) fn can_be_made(
    world: &World,
    call: &Call,
    parent: i64,
    subtype: i64,
) -> Result<(), Refusal> {
    seen(world, call, parent)?;
    let kind = Kind::of(subtype)
        .ok_or_else(|| Refusal::failed(format!("Subtype {subtype} not registered")))?;
    let cannot = || {
        Refusal::failed(format!(
            "Could not process object, type {subtype} has no action 'create'"
        ))
    };
    match kind.creatable {
        true => admit(world, call, parent, kind, cannot).map(|_| ()),
        false => Err(cannot()),
    }
}

/// The general form for a new node.
pub(in super::super) fn create_fields(call: &Call, parent: i64, subtype: i64) -> Value {
    let given = |key: &str| json!(call.arguments.text(key).unwrap_or_default());
    let mut all = vec![
        field("name", "Name", "text", given("name")).required(),
        field(
            "description",
            "Description",
            "textarea",
            given("description"),
        ),
        field("parent_id", "Parent", "otcs_node_picker", parent.into()).required(),
        field("type", "Type", "integer", subtype.into())
            .required()
            .shown(),
    ];
    match subtype {
        DOCUMENT => all.push(field("file", "File", "file", "".into()).required()),
        URL => all.push(field("url", "URL", "url", "".into()).required()),
        SHORTCUT | GENERATION => {
            let original = field("original_id", "Original", "otcs_node_picker", Value::Null);
            all.push(original.required());
        }
        _ => {}
    }
    form("POST", "api/v1/nodes", all)
}

/// `GET /v1/forms/nodes/rename`.
pub(in super::super) fn rename(world: &mut World, call: &Call) -> Outcome {
    let node = own(world, call)?;
    let name = field("name", "Name", "text", node.name.as_str().into()).required();
    answer(vec![form(
        "PUT",
        &format!("api/v1/nodes/{}", node.id),
        vec![name],
    )])
}

/// `GET /v1/forms/nodes/move` and `/copy`; with a destination and an inheritance model also the
/// categories that the node would have there.
pub(in super::super) fn relocate(world: &mut World, call: &Call, copy: bool) -> Outcome {
    let ids = call.arguments.numbers("id")?.unwrap_or_default();
    let missing = || Refusal::bad("Could not retrieve form. Invalid or missing parameters");
    let first = *ids.first().ok_or_else(missing)?;
    for id in &ids {
        seen(world, call, *id)?;
    }
    let node = seen(world, call, first)?;
    let parent = call.arguments.number("parent_id")?;
    let inheritance = call.arguments.number("inheritance")?;
    let asked = call.arguments.numbers("category_id")?;
    if inheritance.is_some_and(|model| !(0..=2).contains(&model)) {
        return Err(missing());
    }
    let mut all = vec![
        field("id", "ID", "integer", first.into()).shown(),
        field(
            "parent_id",
            "Destination",
            "otcs_node_picker",
            json!(parent),
        )
        .required(),
    ];
    let (method, action) = match copy {
        true => {
            all.push(field("name", "Name", "text", node.name.as_str().into()));
            ("POST", "api/v1/nodes".to_owned())
        }
        false => ("PUT", format!("api/v1/nodes/{first}")),
    };
    let mut forms = vec![form(method, &action, all)];
    match (parent, inheritance, ids.len()) {
        (Some(parent), Some(model), 1) => {
            seen(world, call, parent)?;
            let mut there = categories::inherited(world, node, parent, Some(model));
            categories::add_asked(world, &mut there, &asked.unwrap_or_default())?;
            forms.extend(categories::of_role(world, None, &there));
        }
        _ if asked.is_some() => return Err(missing()),
        _ => {}
    }
    answer(forms)
}

/// The general properties of a node, some of which may be changed.
fn general(world: &World, node: &Node) -> Value {
    let date = |at| json!(world.date(at));
    let mut form = form(
        "PUT",
        &format!("api/v1/nodes/{}", node.id),
        vec![
            field("name", "Name", "text", node.name.as_str().into()).required(),
            field(
                "description",
                "Description",
                "textarea",
                node.description.as_str().into(),
            ),
            field("create_date", "Created", "datetime", date(node.created)).shown(),
            field(
                "create_user_id",
                "Created By",
                "otcs_user_picker",
                node.creator.into(),
            )
            .shown(),
            field("type", "Type", "integer", node.subtype.into()).shown(),
            field("modify_date", "Modified", "datetime", date(node.modified)).shown(),
            field(
                "owner_user_id",
                "Owned By",
                "otcs_user_picker",
                node.owner.into(),
            )
            .shown(),
        ],
    );
    form["data"]["metadata_token"] = properties::token(node).into();
    form
}

/// The properties that only its subtype has.
fn specific(node: &Node) -> Value {
    let mut all = Vec::new();
    if let Some(version) = node.latest() {
        all.extend(of_file(version));
    }
    if let Some(url) = &node.url {
        all.push(field("url", "URL", "url", url.as_str().into()));
    }
    if let Some(original) = node.original {
        let original = original.into();
        all.push(field("original_id", "Original", "otcs_node_picker", original).shown());
    }
    form("PUT", &format!("api/v1/nodes/{}", node.id), all)
}

/// What a version says of its file.
fn of_file(version: &Version) -> Vec<Field> {
    let kind = version
        .file_name
        .rsplit_once('.')
        .map_or("", |(_, kind)| kind);
    let created = version.external.create_date.as_ref();
    let modified = version.external.modify_date.as_ref();
    vec![
        field(
            "mime_type",
            "MIME Type",
            "text",
            version.mime.as_str().into(),
        ),
        field(
            "version_number",
            "Version",
            "integer",
            version.number.into(),
        )
        .shown(),
        field(
            "file_name",
            "File Name",
            "text",
            version.file_name.as_str().into(),
        )
        .shown(),
        field("file_type", "File Type", "text", kind.into()).shown(),
        field(
            "file_size_formatted",
            "Size",
            "text",
            size_text(version.blob.len()).into(),
        )
        .shown(),
        field(
            "file_create_date",
            "File Created",
            "datetime",
            json!(created),
        )
        .shown(),
        field(
            "file_modify_date",
            "File Modified",
            "datetime",
            json!(modified),
        )
        .shown(),
    ]
}

/// `GET /v1/forms/nodes/properties/general`.
pub(in super::super) fn properties_general(world: &mut World, call: &Call) -> Outcome {
    answer(vec![general(world, own(world, call)?)])
}

/// `GET /v1/forms/nodes/properties/specific`.
pub(in super::super) fn properties_specific(world: &mut World, call: &Call) -> Outcome {
    answer(vec![specific(own(world, call)?)])
}

/// `GET /v1/forms/nodes/update`: general properties and those of the roles, or of the roles asked
/// for.
pub(in super::super) fn update(world: &mut World, call: &Call) -> Outcome {
    let node = own(world, call)?;
    let roles = call.arguments.texts("role");
    let wanted = |role: &str| roles.is_empty() || roles.iter().any(|own| own == role);
    let mut forms = Vec::new();
    if roles.is_empty() {
        forms.push(general(world, node));
    }
    if wanted("categories") {
        forms.extend(categories::form_of_node(world, node));
    }
    if wanted("versionscontrol") && node.container() {
        let advanced = node.advanced.into();
        let label = "Advanced Versions Control";
        let control = field("versions_control_advanced", label, "checkbox", advanced);
        let scope = field("apply_to", "Apply To", "select", 0.into());
        let mut own = form(
            "PUT",
            &format!("api/v1/nodes/{}", node.id),
            vec![control, scope],
        );
        own["role_name"] = "versionscontrol".into();
        own["schema"]["properties"]["apply_to"]["enum"] = json!([0, 1, 2]);
        forms.push(own);
    }
    answer(forms)
}

/// `GET /v1/forms/nodes/versions/create`.
pub(in super::super) fn version_create(world: &mut World, call: &Call) -> Outcome {
    let missing = || Refusal::bad("Could not retrieve form. Invalid or missing parameters");
    let id = call.arguments.number("id")?.ok_or_else(missing)?;
    let node = seen(world, call, id)?;
    if node.versions.is_empty() || !world.rights(call.user, id).has(Rights::MODIFY) {
        return Err(Refusal::failed(format!(
            "The {} type does not support the 'Versions-add' action",
            node.subtype
        )));
    }
    let mut all = vec![
        field("description", "Description", "textarea", "".into()),
        field("file", "File", "file", "".into()).required(),
    ];
    if node.advanced {
        all.push(field(
            "add_major_version",
            "Add Major Version",
            "checkbox",
            false.into(),
        ));
    }
    answer(vec![form(
        "POST",
        &format!("api/v1/nodes/{id}/versions"),
        all,
    )])
}

/// A version by the arguments `id` and `version_number`.
fn version_of<'a>(
    world: &'a World,
    call: &Call,
    missing: impl Fn(i64, i64) -> String,
) -> Result<(&'a Node, &'a Version), Refusal> {
    let id = call.arguments.required("id")?;
    let number = call.arguments.required("version_number")?;
    let node = seen(world, call, id)?;
    match versions::find(node, number) {
        Some(version) => Ok((node, version)),
        None => Err(Refusal::failed(missing(id, number))),
    }
}

/// `GET /v1/forms/nodes/versions/update`.
pub(in super::super) fn version_update(world: &mut World, call: &Call) -> Outcome {
    let (node, version) = version_of(world, call, |id, number| {
        format!("The version number {number} is not a version on the node {id}")
    })?;
    let action = format!("api/v1/nodes/{}/versions/{}", node.id, version.number);
    let all = vec![
        field(
            "description",
            "Description",
            "textarea",
            version.description.as_str().into(),
        ),
        field(
            "version_number",
            "Version",
            "integer",
            version.number.into(),
        )
        .shown(),
    ];
    answer(vec![form("PUT", &action, all)])
}

/// `GET /v1/forms/nodes/versions/properties/general` and `/specific`.
pub(in super::super) fn version_properties(
    world: &mut World,
    call: &Call,
    specific: bool,
) -> Outcome {
    let missing = |_, _| "Error getting version for node".to_owned();
    let (node, version) = version_of(world, call, missing)?;
    let shown = versions::json(world, node, version);
    let taken = |key: &str| shown[key].clone();
    let all = match specific {
        true => of_file(version),
        false => vec![
            field(
                "description",
                "Description",
                "textarea",
                taken("description"),
            ),
            field("version_number", "Number", "integer", version.number.into()).shown(),
            field(
                "version_number_name",
                "Version",
                "text",
                taken("version_number_name"),
            )
            .shown(),
            field("create_date", "Created", "datetime", taken("create_date")).shown(),
            field(
                "owner_id",
                "Created By",
                "otcs_user_picker",
                version.owner.into(),
            )
            .shown(),
            field("modify_date", "Modified", "datetime", taken("modify_date")).shown(),
            field(
                "provider_id",
                "Storage Provider",
                "text",
                taken("provider_name"),
            )
            .shown(),
        ],
    };
    let action = format!("api/v1/nodes/{}/versions/{}", node.id, version.number);
    answer(vec![form("PUT", &action, all)])
}

/// `GET /v1/forms/nodes/versions/categories`: those a version had.
pub(in super::super) fn version_categories(world: &mut World, call: &Call) -> Outcome {
    let missing = |_, _| "Error getting version for node".to_owned();
    let (node, version) = version_of(world, call, missing)?;
    let frozen = versions::categories(node, version.number);
    let form = frozen.and_then(|frozen| categories::of_role(world, Some(node.id), frozen));
    answer(form.into_iter().collect())
}
