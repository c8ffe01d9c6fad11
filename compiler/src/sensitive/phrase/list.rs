//! The words: English first, and the commonest column names of German, French and Spanish schemas.

use super::Place::{self, Addresses, Anywhere, People};
use crate::sensitive::class::Certainty::{self, Likely, Sure};
use crate::sensitive::class::Class;

/// Phrases by what they say, where, and how surely; separated by commas.
///
/// [`Class::Personal`] stands for "nothing": such a phrase keeps a shorter one inside it from matching.
pub(super) const PHRASES: &[(Class, Place, Certainty, &str)] = &[
    (
        Class::Email,
        Anywhere,
        Sure,
        "email, e mail, email address, email addr, mail address, mail addr, emailadresse, mailadresse, courriel, adresse mail, correo electronico, correo, email from, email to, email cc, email bcc",
    ),
    (
        Class::Email,
        Anywhere,
        Likely,
        "cc address, bcc address, to address, from address, reply to, sender address, recipient address, mail from address",
    ),
    (Class::Email, People, Sure, "mail"),
    (
        Class::Phone,
        Anywhere,
        Sure,
        "phone, phone number, phone no, telephone, telephone number, mobile phone, mobile number, cell phone, cell number, contact number, msisdn, fax, fax number, telefon, telefonnummer, telefon nummer, mobiltelefon, mobilnummer, rufnummer, telefono, telefono movil, numero telefono, celular, tel, gsm, whatsapp number",
    ),
    (Class::Phone, People, Sure, "mobile, cell, handy, movil, portable"),
    (Class::Phone, People, Likely, "extension"),
    (
        Class::PersonName,
        Anywhere,
        Sure,
        "first name, last name, full name, given name, family name, middle name, maiden name, sur name, surname, forename, firstname, lastname, fullname, middlename, holder name, cardholder, cardholder name, card holder, account holder, card owner, cc owner, contact name, contact person, customer name, client name, patient name, employee name, student name, person name, spouse name, mother name, father name, guardian name, recipient name, beneficiary name, payee name, passenger name, guest name, author name, owner name, driver name, applicant name, candidate name, next of kin, vorname, nachname, familienname, prenom, apellido, apellidos, nom de famille, nombre completo, nombres, ship name, shipping name, billing name, emergency contact, person to be contacted, account name",
    ),
    (
        Class::PersonName,
        Anywhere,
        Likely,
        "comment author, legal name, alternate name, nice name, nicename, short name",
    ),
    (
        Class::PersonName,
        People,
        Sure,
        "name, display name, displayname, nick name, nickname, nom, nombre, complete name, preferred name",
    ),
    (
        Class::NationalId,
        Anywhere,
        Sure,
        "ssn, social security, social security number, social security no, national id, national id number, national identifier, national insurance, national insurance number, national insurance no, nino, tax id, tax number, tax no, tax identification, tax identification number, taxpayer id, taxvat, tax vat, vat id, vat number, vat no, fiscal code, codice fiscale, steuernummer, steuer id, steueridentifikationsnummer, sozialversicherungsnummer, personalausweis, ausweisnummer, personalausweisnummer, dni, nif, nie, curp, cpf, aadhaar, aadhar, pan number, nric, bsn, pesel, personnummer, cedula, id card, id card number, id card no, identity card, identity card number, identity number, identification number, identification no, identification id, citizen id, government id, drivers license, driver license, driving license, driving licence, driver license number, driver licence, license plate, number plate, numero securite sociale, nir, ssnid, sinid, insee",
    ),
    (
        Class::NationalId,
        Anywhere,
        Likely,
        "permit no, permit number, visa no, visa number, tva intra, license number, licence number",
    ),
    (Class::NationalId, People, Likely, "vat, id number, tin, personal id, personal number"),
    (
        Class::Passport,
        Anywhere,
        Sure,
        "passport, passport no, passport number, passport num, passport id, reisepass, reisepassnummer, passeport, pasaporte",
    ),
    (
        Class::BirthDate,
        Anywhere,
        Sure,
        "dob, birth date, birthdate, date of birth, birthday, birth day, born on, born at, born, birth place, birthplace, place of birth, geburtsdatum, geburtstag, geburtsort, date naissance, date de naissance, naissance, lieu naissance, fecha nacimiento, fecha de nacimiento, nacimiento, data nascimento",
    ),
    (Class::BirthDate, People, Sure, "birth"),
    (
        Class::Address,
        Anywhere,
        Sure,
        "street, street address, street name, address line, addressline, home address, billing address, shipping address, ship address, mailing address, postal address, delivery address, residential address, permanent address, current address, private address, postal code, postcode, post code, zip code, zipcode, house number, strasse, hausnummer, plz, postleitzahl, anschrift, wohnort, code postal, codigo postal, direccion, domicilio, ship city, billing city, shipping city",
    ),
    (Class::Address, Anywhere, Likely, "address, addr, zip, adresse, rue, calle"),
    (Class::Address, Addresses, Sure, "address, addr, adresse"),
    (
        Class::Address,
        Addresses,
        Likely,
        "city, town, village, city village, ort, ville, ciudad, postal, county",
    ),
    (
        Class::Geo,
        Anywhere,
        Sure,
        "latitude, longitude, lat, lng, gps, gps coordinates, gps location, geo location, geolocation, geo point, spatial location, last location, home location, current location, coordinates, breitengrad, laengengrad, latitud, longitud",
    ),
    (Class::Geo, Anywhere, Likely, "lon"),
    (Class::Geo, People, Likely, "long, geom"),
    (
        Class::Ip,
        Anywhere,
        Sure,
        "ip, ip address, ip addr, ipaddress, client ip, remote ip, remote addr, remote address, forwarded for, ipv, ipv address, mac address, client address, sign up ip, last ip",
    ),
    (
        Class::PaymentCard,
        Anywhere,
        Sure,
        "card number, card no, card num, credit card, credit card number, cc number, cc num, ccnumber, cvv, cvc, card cvv, card cvc, security code, card code, debit card, debit card number, kreditkarte, kreditkartennummer, tarjeta, numero tarjeta, carte bancaire, payment card",
    ),
    (
        Class::Bank,
        Anywhere,
        Sure,
        "iban, bank account, bank account number, bank account no, bank ac no, bank acc no, bank number, account number iban, acc number, routing number, routing no, sort code, kontonummer, bankverbindung, kontoinhaber, clabe, cuenta bancaria, rib, bban, echeck routing number",
    ),
    (Class::Bank, People, Likely, "account number, account no"),
    (
        Class::Salary,
        Anywhere,
        Sure,
        "salary, base salary, wage, wages, hourly wage, hourly rate, hour rate, gross pay, net pay, base pay, pay rate, take home pay, compensation, annual income, monthly income, income, ctc, gehalt, lohn, bruttolohn, nettolohn, salaire, salario, sueldo, remuneration",
    ),
    (Class::Salary, Anywhere, Likely, "bonus, commission pct, payroll"),
    (
        Class::Health,
        Anywhere,
        Sure,
        "diagnosis, diagnose, diagnoses, medical, medical history, medical record, medical record number, medical condition, mrn, blood type, blood group, allergy, allergies, allergen, medication, prescription, disability, health, health details, health status, health insurance, health insurance no, health insurance number, symptom, disease, pregnancy, pregnant, cause of death, death date, date of death, hiv, hiv status, vaccination, vaccine, krankheit, krankenkasse, maladie, enfermedad, genome, icd code",
    ),
    (Class::Health, Anywhere, Likely, "treatment, injury, insurance number, insurance no"),
    (
        Class::Trait,
        Anywhere,
        Sure,
        "gender, gender identity, religion, ethnicity, ethnic group, ethnic origin, nationality, citizenship, marital, marital status, civil status, sexual orientation, orientation sexual, political opinion, political party, trade union, union membership, tribe, caste, geschlecht, familienstand, konfession, sexe, sexo, genero, estado civil, nationalitaet, staatsangehoerigkeit, racial",
    ),
    (Class::Trait, People, Sure, "sex, race"),
    (
        Class::Secret,
        Anywhere,
        Sure,
        "password, passwd, passwort, kennwort, contrasena, mot de passe, mdp, pwd, pass phrase, passphrase, passcode, pass hash, user pass, smtp pass, pass crypted, db pass, secret, token, api key, apikey, api token, private key, secret key, access key, access token, refresh token, auth key, auth token, encryption key, signing key, master key, secure key, shared key, ssh key, activation key, reset key, license key, key auth, key hash, salt, otp, totp, mfa secret, credential, credentials, session key, session token, session data, session id, session nonce, cookie, nonce, recovery code, backup code, verification code, confirm code, confirmation code, access code, auth code, protect code, auth data, authdata, security answer, secret question, secret answer, webhook secret, incoming webhook, hmac, bearer, csrf token, jwt, jwt token key, pass salt, secret data, credential data, token key",
    ),
    (Class::Secret, People, Sure, "pin, pin code, pass"),
    (
        Class::Note,
        People,
        Likely,
        "note, notes, comment, comments, remark, remarks, bio, bio raw, bio cooked, biography, about me, about, description, resume, cv, memo, background, family background, additional note, private note, note private, bemerkung, notiz, notizen, commentaire, observaciones, notas, curriculum",
    ),
    // Names that contain one of the above and are something else.
    (
        Class::Personal,
        Anywhere,
        Likely,
        "company name, user name, username, product name, file name, bank name, role name, smtp address, imap address, host address, server address, web address, wallet address, contract address, memory address, allowed ip, blocked ip, public key, public token, token address, page name, mailing list, cell color, tax code, press release, street view, confirmed email, position id",
    ),
];

/// What tables about people are called, in the singular.
pub(super) const PEOPLE: &str = "user customer client employee person people patient member contact staff student teacher applicant \
    candidate guest subscriber partner lead passenger driver resident profile account actor participant \
    beneficiary payee visitor buyer seller author doctor physician nurse tenant citizen voter donor adopter \
    recipient sender attendee spouse child parent guardian worker agent admin shopper borrower policyholder \
    insured relative supplier vendor owner kunde kunden mitarbeiter benutzer cliente empleado usuario \
    utilisateur adherent societe personne persona personnel salarie patienten schueler";

/// What tables of addresses are called.
pub(super) const ADDRESSES: &str = "address adresse anschrift direccion addr";

/// Words after which a table is still about what the words before them say.
pub(super) const STILL_THE_SAME: &str = "profile detail details info information data entity record archive history backup old new tmp temp copy \
    table tbl list view candidate base raw stage staging";

/// Words that make a column belong to a person, whatever its table is about.
pub(super) const QUALIFIES: &str = "customer employee patient spouse mother father guardian beneficiary passenger guest applicant candidate \
    student recipient payee shipping ship billing bill kunden cust emp private buyer shopper visitor";

/// Words after a phrase that make the column something else: a count, a date, a setting.
pub(super) const TURNS: &str = "count counter num total at on id ids uuid verified validated confirmed enabled disabled sent opt type \
    template policy format required valid status state flag algorithm theme length size limit expire expires \
    expiry expiration expired exp ttl lifespan lifetime attempt time date updated changed created modified \
    promotion promo preference setting config consent url uri link path host port domain subject body \
    provider protocol method version index order sort hint label country region lang language locale month \
    year scheme mode scope visible default allowed blocked banned source reason regex pattern cost fee tax \
    category name title image photo file restriction question notification notified used usage usages max \
    min avg sum percent pct ratio stat last window generator class sid endpoint constraint score digit step \
    prefix suffix quota interval subscribed subscription subscribe unsubscribed verification by exists \
    present found failed failure bounce bounced stop is iso timestep visibility verify restricted reset \
    delivery frequency code area group level kind model quality zone approval issuer brand network plan \
    promised nr iv";

/// First words of a yes-or-no or how-many column.
pub(super) const ASKS: &str = "is has have num count total max min avg allow allows enable require requires show hide verify skip use \
    accepts needs can should anonymize";

/// Further words at which runs may be taken apart.
pub(super) const KNOWN: &str = "user work home last first primary secondary alternate alternative normalized encrypted hash hashed \
    digest display business company personal public reset login app number phonetic unconfirmed pending raw \
    plain value key";
