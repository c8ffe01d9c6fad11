//! Which attributes there are. One table, from which discovery answers and every reading follow.

/// An attribute's type.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// Text.
    Text,
    /// True or false.
    Boolean,
    /// An address of another resource, of these types.
    Reference(&'static [&'static str]),
    /// RFC 3339.
    DateTime,
    /// Sub-attributes.
    Complex(&'static [Attribute]),
}

/// Who writes an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutability {
    /// Clients.
    ReadWrite,
    /// Clients, once.
    Immutable,
    /// The server alone.
    ReadOnly,
}

/// An attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// As answers write it; requests may use any case.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// Whether it has several values.
    pub multi: bool,
    /// Whether a resource needs it.
    pub required: bool,
    /// Whether `A` and `a` differ.
    pub case_exact: bool,
    /// Who writes it.
    pub mutability: Mutability,
    /// What it is for.
    pub about: &'static str,
}

/// A resource type's schema.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its URN.
    pub id: &'static str,
    /// The resource type.
    pub name: &'static str,
    /// Where its resources are.
    pub endpoint: &'static str,
    /// The attribute no two resources share.
    pub unique: &'static str,
    /// Its attributes.
    pub attributes: &'static [Attribute],
}

const fn text(name: &'static str, about: &'static str) -> Attribute {
    Attribute {
        name,
        kind: Type::Text,
        multi: false,
        required: false,
        case_exact: false,
        mutability: Mutability::ReadWrite,
        about,
    }
}

const fn boolean(name: &'static str, about: &'static str) -> Attribute {
    Attribute { kind: Type::Boolean, ..text(name, about) }
}

const fn read_only(attribute: Attribute) -> Attribute {
    Attribute { mutability: Mutability::ReadOnly, ..attribute }
}

const fn immutable(attribute: Attribute) -> Attribute {
    Attribute { mutability: Mutability::Immutable, ..attribute }
}

const fn required(attribute: Attribute) -> Attribute {
    Attribute { required: true, ..attribute }
}

const fn exact(attribute: Attribute) -> Attribute {
    Attribute { case_exact: true, ..attribute }
}

const fn complex(name: &'static str, subs: &'static [Attribute], about: &'static str) -> Attribute {
    Attribute { kind: Type::Complex(subs), ..text(name, about) }
}

const fn several(attribute: Attribute) -> Attribute {
    Attribute { multi: true, ..attribute }
}

const fn reference(types: &'static [&'static str], about: &'static str) -> Attribute {
    exact(Attribute { kind: Type::Reference(types), ..text("$ref", about) })
}

/// What every resource has beside its schema's.
pub const COMMON: &[Attribute] = &[
    read_only(exact(text("id", "What the server calls it"))),
    exact(text("externalId", "What the client calls it")),
    read_only(complex(
        "meta",
        &[
            read_only(exact(text("resourceType", "Its type"))),
            read_only(Attribute { kind: Type::DateTime, ..text("created", "When it was made") }),
            read_only(Attribute { kind: Type::DateTime, ..text("lastModified", "When it was changed") }),
            read_only(exact(text("location", "Where it is"))),
            read_only(exact(text("version", "Its ETag"))),
        ],
        "What the server says of it",
    )),
];

/// People.
pub const USER: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:User",
    name: "User",
    endpoint: "/Users",
    unique: "userName",
    attributes: &[
        required(text("userName", "What the person signs in with")),
        complex(
            "name",
            &[
                text("formatted", "The whole name"),
                text("familyName", "The family name"),
                text("givenName", "The given name"),
            ],
            "The person's name",
        ),
        text("displayName", "The name to show"),
        text("title", "What the person is"),
        boolean("active", "Whether the person has access; without it, all of it ends"),
        // The directory knows people by address. A `userName` that is one stands in for it.
        required(several(complex(
            "emails",
            &[
                required(text("value", "The address")),
                text("display", "The name to show"),
                text("type", "Such as `work`"),
                boolean("primary", "Whether it is the one the directory knows the person by"),
            ],
            "Addresses of the person",
        ))),
        read_only(several(complex(
            "groups",
            &[
                read_only(exact(text("value", "The group's id"))),
                read_only(reference(&["Group"], "Where the group is")),
                read_only(text("display", "The group's name")),
            ],
            "Groups the person is in",
        ))),
    ],
};

/// Groups.
pub const GROUP: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:Group",
    name: "Group",
    endpoint: "/Groups",
    unique: "displayName",
    attributes: &[
        required(text("displayName", "The group's name in policies")),
        several(complex(
            "members",
            &[
                immutable(exact(text("value", "The person's id"))),
                immutable(reference(&["User"], "Where the person is")),
            ],
            "Who is in it",
        )),
    ],
};

/// Both.
pub const EVERY: [Schema; 2] = [USER, GROUP];

impl Schema {
    /// An attribute by its name in any case.
    pub fn find(&self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes, name).or_else(|| find(COMMON, name))
    }
}

/// One of a list, by its name in any case.
pub fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

impl Attribute {
    /// Its sub-attributes; none of a simple one.
    pub fn subs(&self) -> &'static [Attribute] {
        match self.kind {
            Type::Complex(subs) => subs,
            _ => &[],
        }
    }
}
