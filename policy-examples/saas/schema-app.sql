CREATE SCHEMA core;
CREATE SCHEMA billing;
CREATE SCHEMA support;
CREATE SCHEMA internal;

CREATE TYPE core.plan AS ENUM ('free', 'team', 'enterprise');

CREATE TABLE core.tenants (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    plan       core.plan NOT NULL DEFAULT 'free',
    country    text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE core.users (
    id              uuid PRIMARY KEY,
    tenant_id       uuid NOT NULL REFERENCES core.tenants,
    email           text NOT NULL,
    full_name       text NOT NULL,
    phone           text,
    password_hash   text NOT NULL,
    last_sign_in_ip inet,
    sign_in_count   integer NOT NULL DEFAULT 0,
    locale          text NOT NULL DEFAULT 'en',
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX users_by_tenant ON core.users (tenant_id);
CREATE TABLE core.api_keys (
    id         uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL REFERENCES core.tenants,
    label      text NOT NULL,
    key_hash   bytea NOT NULL,
    expires_at timestamptz
);
CREATE INDEX api_keys_by_tenant ON core.api_keys (tenant_id);
CREATE TABLE core.projects (
    id        uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES core.tenants,
    title     text NOT NULL,
    archived  boolean NOT NULL DEFAULT false
);
CREATE INDEX projects_by_tenant ON core.projects (tenant_id);
CREATE TABLE core.events (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL,
    user_id   uuid,
    kind      text NOT NULL,
    payload   jsonb NOT NULL DEFAULT '{}',
    at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_by_tenant ON core.events (tenant_id, at);

CREATE TABLE billing.invoices (
    id        uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES core.tenants,
    number    text NOT NULL UNIQUE,
    total     numeric(12, 2) NOT NULL,
    currency  text NOT NULL,
    due_on    date NOT NULL,
    paid_at   timestamptz
);
CREATE INDEX invoices_by_tenant ON billing.invoices (tenant_id);
CREATE TABLE billing.payment_methods (
    id          uuid PRIMARY KEY,
    tenant_id   uuid NOT NULL REFERENCES core.tenants,
    brand       text NOT NULL,
    card_number text,
    card_holder text,
    iban        text
);
CREATE INDEX payment_methods_by_tenant ON billing.payment_methods (tenant_id);

CREATE TABLE support.tickets (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id    uuid NOT NULL REFERENCES core.tenants,
    requester_id uuid REFERENCES core.users,
    subject      text NOT NULL,
    status       text NOT NULL DEFAULT 'open',
    country      text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tickets_by_tenant ON support.tickets (tenant_id);
CREATE INDEX tickets_by_country ON support.tickets (country);
CREATE TABLE support.messages (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id    bigint NOT NULL REFERENCES support.tickets,
    author_email text NOT NULL,
    body         text NOT NULL,
    sent_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN support.messages.body IS 'Customers write personal data into tickets, whatever we ask for.';

CREATE TABLE internal.jobs (
    id   bigint PRIMARY KEY,
    args jsonb NOT NULL
);
