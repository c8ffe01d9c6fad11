CREATE TABLE public.subscribers (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email        text NOT NULL UNIQUE,
    topic        text NOT NULL,
    confirmed_at timestamptz,
    email_count  bigint NOT NULL DEFAULT 0
);
