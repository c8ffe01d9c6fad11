CREATE SCHEMA mart;

CREATE TABLE mart.daily_usage (
    day          date NOT NULL,
    tenant_id    uuid NOT NULL,
    country      text NOT NULL,
    active_users bigint NOT NULL,
    email_count  bigint NOT NULL,
    PRIMARY KEY (day, tenant_id)
);
CREATE TABLE mart.revenue (
    month     date NOT NULL,
    tenant_id uuid NOT NULL,
    amount    numeric(14, 2) NOT NULL,
    PRIMARY KEY (month, tenant_id)
);
CREATE TABLE mart.people (
    user_id    uuid PRIMARY KEY,
    tenant_id  uuid NOT NULL,
    email      text NOT NULL,
    birth_date date,
    gender     text,
    country    text NOT NULL
);
CREATE INDEX people_by_country ON mart.people (country);
