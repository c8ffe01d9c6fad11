-- Made-up people and orders. Everything follows from the row number, so every run has the same rows.

INSERT INTO public.customers (id, full_name, email, phone, ssn, card_number, birth_date, region, note, profile, created_at)
VALUES (1, 'Jane Doe', 'jane.doe@example.com', '555-010-1234', '123-45-6789', '4111-1111-1111-1111', '1984-07-19', 'eu',
        'prefers e-mail',
        '{"language": "de", "contact": {"messenger": "@jane.doe"}, "loyalty": {"tier": "gold", "card": "L-000001"}}',
        '2024-03-01 09:30Z');

WITH words AS (
    SELECT ARRAY['Alice','Bruno','Chloe','David','Elena','Farid','Grace','Hugo','Ines','Jonas','Keiko','Liam','Maria','Noah','Olga','Pavel','Quinn','Rosa','Samir','Tessa'] AS first,
           ARRAY['Anders','Bauer','Costa','Dubois','Evans','Fischer','Garcia','Hansen','Ito','Jansen','Kim','Lopez','Meyer','Novak','Olsen','Petrov','Rossi','Silva','Tanaka','Weber'] AS last,
           ARRAY['example.com','example.org','mail.example','post.example'] AS hosts,
           ARRAY['eu','us','apac'] AS regions,
           ARRAY['de','en','fr','ja'] AS languages,
           ARRAY['bronze','silver','gold'] AS tiers
), people AS (
    SELECT n, first[1 + n % 20] AS given, last[1 + (n * 7 + n / 20) % 20] AS family, hosts[1 + n % 4] AS host,
           regions[1 + n % 3] AS region, languages[1 + n % 4] AS language, tiers[1 + n % 3] AS tier
    FROM words, generate_series(2, 200) AS n
)
INSERT INTO public.customers (id, full_name, email, phone, ssn, card_number, birth_date, region, note, profile, created_at)
SELECT n,
       given || ' ' || family,
       lower(given || '.' || family) || n || '@' || host,
       '555-' || lpad((n * 37 % 1000)::text, 3, '0') || '-' || lpad((n * 7919 % 10000)::text, 4, '0'),
       CASE WHEN n % 5 <> 0 THEN lpad((100 + n * 13 % 800)::text, 3, '0') || '-' || lpad((n * 31 % 100)::text, 2, '0') || '-' || lpad((n * 104729 % 10000)::text, 4, '0') END,
       CASE WHEN n % 4 <> 0 THEN '4' || lpad((n * 211 % 1000)::text, 3, '0') || '-' || lpad((n * 17 % 10000)::text, 4, '0') || '-' || lpad((n * 389 % 10000)::text, 4, '0') || '-' || lpad((n * 6151 % 10000)::text, 4, '0') END,
       date '1950-01-01' + (n * 97 % 20000),
       region,
       CASE WHEN n % 10 = 0 THEN 'asked for an invoice copy' END,
       jsonb_build_object('language', language,
                          'contact', jsonb_build_object('messenger', '@' || lower(given) || n),
                          'loyalty', jsonb_build_object('tier', tier, 'card', 'L-' || lpad(n::text, 6, '0'))),
       timestamptz '2024-01-01 00:00Z' + n * interval '61 hours'
FROM people;
SELECT setval(pg_get_serial_sequence('public.customers', 'id'), 200);

INSERT INTO public.products (id, sku, name, price)
SELECT n, 'SKU-' || lpad(n::text, 4, '0'),
       (ARRAY['Lamp','Chair','Desk','Kettle','Mug','Rug'])[1 + n % 6] || ' ' || (ARRAY['Birch','Coal','Dune','Fjord','Moss'])[1 + n % 5],
       round((5 + n * 317 % 40000 / 100.0)::numeric, 2)
FROM generate_series(1, 30) AS n;
SELECT setval(pg_get_serial_sequence('public.products', 'id'), 30);

INSERT INTO public.orders (id, customer_id, region, status, placed_at)
SELECT n, c.id, c.region,
       (ARRAY['open','paid','shipped','shipped','returned'])[1 + n % 5]::public.order_status,
       timestamptz '2026-01-01 08:00Z' + n * interval '3 hours 25 minutes'
FROM generate_series(1, 600) AS n
JOIN public.customers c ON c.id = 1 + n * 29 % 200;
SELECT setval(pg_get_serial_sequence('public.orders', 'id'), 600);

INSERT INTO public.order_items (order_id, line, product_id, quantity, price)
SELECT o.id, line, p.id, 1 + (o.id + line) % 3, p.price
FROM public.orders o
CROSS JOIN generate_series(1, 3) AS line
JOIN public.products p ON p.id = 1 + (o.id * 11 + line * 5) % 30
WHERE line <= 1 + o.id % 3;
UPDATE public.orders o
SET total = i.total
FROM (SELECT order_id, sum(quantity * price) AS total FROM public.order_items GROUP BY order_id) AS i
WHERE i.order_id = o.id;

INSERT INTO public.salaries VALUES ('sam@acme.test', 3400), ('ana@acme.test', 4600), ('ada@acme.test', 5900);

INSERT INTO analytics.events (at, customer_id, kind, client_ip, payload)
SELECT timestamptz '2026-01-01 00:00Z' + n * interval '64 minutes', 1 + n * 13 % 200,
       (ARRAY['view','search','cart','checkout'])[1 + n % 4],
       ('10.' || n % 200 || '.' || n * 7 % 250 || '.' || 1 + n * 3 % 250)::inet,
       jsonb_build_object('path', '/p/' || 1 + n % 30, 'ms', 20 + n * 37 % 400)
FROM generate_series(1, 2000) AS n;

INSERT INTO hr.reviews VALUES ('sam@acme.test', 'calm on the phone'), ('ana@acme.test', 'asks good questions');
ANALYZE;
