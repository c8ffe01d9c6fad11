-- The same rows before every run.
TRUNCATE app.types, app.items, app.people, app.contacts, app.secrets RESTART IDENTITY;
INSERT INTO app.types VALUES
    (1, true, 7, 9007199254740993, 1.5, 2.25, 1234.5678, 'grüße, 世界', 'short', 'ab', '\x00ff10',
     '2026-02-28', '2026-02-28 12:30:45.123456', '2026-02-28 12:30:45.123456+00', '23:59:59', '1 day 02:03:04',
     '6f9619ff-8b86-d011-b42d-00c04fc964ff', '{"a": 1}', '{"b": [1, null]}', '10.1.2.3/24', '{1,NULL,3}',
     '{"a b",NULL,c}', 'happy', '[1,5)'),
    (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL, NULL, NULL);
INSERT INTO app.items (name, amount) VALUES ('apple', 3), ('pear', 5), ('plum', 8);
INSERT INTO app.people VALUES
    (1, 'Ann', 'ann@example.com', '111-22-3333', 'eu'), (2, 'Bob', 'bob@example.com', '222-33-4444', 'us'),
    (3, 'Cid', 'cid@example.org', NULL, 'eu');
INSERT INTO app.contacts (email, note) VALUES ('dora@example.com', 'first');
INSERT INTO app.secrets VALUES (1, 'hidden');
