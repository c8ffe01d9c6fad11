//! The kinds of sensitive data, the types each can have, and the mask that suits it.

use daam_catalog::TypeClass;
use std::fmt;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// E-mail addresses.
    Email,
    /// Phone and fax numbers.
    Phone,
    /// Names of people.
    PersonName,
    /// Social security, tax and identity card numbers.
    NationalId,
    /// Passport numbers.
    Passport,
    /// Dates and places of birth.
    BirthDate,
    /// Postal addresses.
    Address,
    /// Where somebody is.
    Geo,
    /// Network addresses.
    Ip,
    /// Card numbers and their codes.
    PaymentCard,
    /// Bank accounts.
    Bank,
    /// Pay.
    Salary,
    /// Health.
    Health,
    /// Gender, religion, nationality, marital status and the like.
    Trait,
    /// Passwords, tokens and keys.
    Secret,
    /// Free text about a person.
    Note,
    /// Personal data of a kind only the label or the comment knows.
    Personal,
}

/// How sure a classification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// The name allows for it.
    Likely,
    /// Name and type agree.
    Sure,
    /// The team, a comment or a security label says so.
    Declared,
}

/// Words for a postal code.
const POSTAL_CODES: [&str; 10] = [
    "postal code",
    "postcode",
    "post code",
    "zip code",
    "zipcode",
    "zip",
    "plz",
    "postleitzahl",
    "code postal",
    "codigo postal",
];

/// Words for a secret made of digits.
const CODES: [&str; 11] = [
    "pin",
    "pin code",
    "otp",
    "totp",
    "passcode",
    "access code",
    "auth code",
    "recovery code",
    "verification code",
    "confirmation code",
    "security code",
];

impl Class {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 17] = [
        Self::Email,
        Self::Phone,
        Self::PersonName,
        Self::NationalId,
        Self::Passport,
        Self::BirthDate,
        Self::Address,
        Self::Geo,
        Self::Ip,
        Self::PaymentCard,
        Self::Bank,
        Self::Salary,
        Self::Health,
        Self::Trait,
        Self::Secret,
        Self::Note,
        Self::Personal,
    ];

    /// The word of it in `daam.yaml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::PersonName => "person_name",
            Self::NationalId => "national_id",
            Self::Passport => "passport",
            Self::BirthDate => "birth_date",
            Self::Address => "address",
            Self::Geo => "geo",
            Self::Ip => "ip",
            Self::PaymentCard => "payment_card",
            Self::Bank => "bank",
            Self::Salary => "salary",
            Self::Health => "health",
            Self::Trait => "trait",
            Self::Secret => "secret",
            Self::Note => "note",
            Self::Personal => "personal",
        }
    }

    /// The class of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// What it is called in a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Email => "e-mail addresses",
            Self::Phone => "phone numbers",
            Self::PersonName => "names of people",
            Self::NationalId => "national identity numbers",
            Self::Passport => "passport numbers",
            Self::BirthDate => "birth dates",
            Self::Address => "postal addresses",
            Self::Geo => "whereabouts",
            Self::Ip => "network addresses",
            Self::PaymentCard => "payment cards",
            Self::Bank => "bank accounts",
            Self::Salary => "pay",
            Self::Health => "health data",
            Self::Trait => "personal traits",
            Self::Secret => "secrets",
            Self::Note => "free text about people",
            Self::Personal => "personal data",
        }
    }

    /// Whether a column of that type can hold it.
    pub fn may_be(self, class: TypeClass, sql: &str) -> bool {
        use TypeClass as T;
        let texts = class == T::Array && (sql.starts_with("text") || sql.starts_with("character"));
        let text = texts || matches!(class, T::Text | T::Domain | T::Json | T::Jsonb | T::Bytea);
        // Numbers that name somebody are stored as numbers surprisingly often: `ssn integer`, `zip integer`.
        let number = matches!(class, T::Numeric | T::Integer);
        match self {
            Self::Email | Self::PersonName | Self::Note => text,
            Self::Address
            | Self::Phone
            | Self::NationalId
            | Self::PaymentCard
            | Self::Bank
            | Self::Passport => text || number,
            Self::BirthDate => text || matches!(class, T::Date | T::Timestamp | T::TimestampTz | T::Integer),
            Self::Geo => text || number || matches!(class, T::Float | T::Other),
            Self::Ip => text || number || matches!(class, T::Inet | T::Cidr) || sql.starts_with("macaddr"),
            Self::Salary => text || number || class == T::Float || sql == "money",
            Self::Health => class != T::Boolean,
            Self::Trait => text || matches!(class, T::Enum | T::Integer),
            Self::Secret => text || matches!(class, T::Uuid | T::Other | T::Integer),
            Self::Personal => true,
        }
    }

    /// Whether an integer of that name is the value itself and not the number of a row that has it: `zip integer`
    /// is a postal code, `address integer` a reference, `tokens integer` a count.
    pub(super) fn is_number_called(self, phrase: &str) -> bool {
        match self {
            Self::Address => POSTAL_CODES.contains(&phrase),
            Self::Secret => CODES.contains(&phrase),
            _ => true,
        }
    }

    /// How sure an integer makes it: what else it could refer to is known to the team only.
    pub(super) fn certainty_as_number(self) -> Certainty {
        match self {
            Self::NationalId | Self::PaymentCard | Self::Salary | Self::Trait | Self::Health => {
                Certainty::Sure
            }
            _ => Certainty::Likely,
        }
    }

    /// The mask that suits it on that type, as policies write it.
    pub fn preset(self, class: TypeClass) -> &'static str {
        use TypeClass as T;
        match (self, class) {
            (Self::Secret, _) => "\"null\"",
            (Self::Email, T::Text) => "email",
            (Self::Phone, T::Text) => "phone",
            (Self::PersonName, T::Text) => "name",
            (Self::NationalId, T::Text) => "ssn",
            (Self::PaymentCard, T::Text) => "credit_card",
            (Self::Bank, T::Text) => "{ partial: { prefix: 2, suffix: 2 } }",
            (Self::BirthDate, T::Date | T::Timestamp | T::TimestampTz) => "{ truncate: year }",
            (Self::Salary, T::Numeric | T::Integer | T::Float) => "{ bucket: 10000 }",
            (Self::Geo, T::Numeric | T::Float) => "{ round: 1 }",
            (Self::Ip, T::Inet | T::Cidr) => "{ network: 16 }",
            _ => "redact",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
