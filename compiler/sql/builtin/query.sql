-- What row filters may use of pg_catalog, one line per object, fields separated by tabs. Read by `ci/builtin` from
-- every supported major version into `catalog.txt`, and by the drift test from the running server.
-- $1: the function names of the filter language.
WITH kinds AS (
    SELECT t.*, CASE WHEN t.typname ~ '^_' THEN substr(t.typname, 2) END AS of
    FROM pg_type t
    WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'p', 'r', 'm')
      AND NOT EXISTS (SELECT FROM pg_type e WHERE e.oid = t.typelem AND e.typtype = 'c')
)
SELECT line FROM (
    -- type: name, as printed, kind, category, preferred, element, how it is subscripted, array type, range subtype or
    -- multirange's range, volatility of input and output, whether it takes modifiers
    SELECT concat_ws(E'\t', 'T', t.typname, format_type(t.oid, NULL), t.typtype,
        t.typcategory::text, CASE WHEN t.typispreferred THEN 'p' ELSE '-' END,
        coalesce((SELECT e.typname FROM pg_type e WHERE e.oid = t.typelem)::text, '-'),
        CASE t.typsubscript::text WHEN 'array_subscript_handler' THEN 'a' WHEN 'raw_array_subscript_handler' THEN 'r'
            WHEN 'jsonb_subscript_handler' THEN 'j' ELSE '-' END,
        coalesce((SELECT e.typname FROM pg_type e WHERE e.oid = t.typarray)::text, '-'),
        coalesce((SELECT s.typname FROM pg_range r JOIN pg_type s ON s.oid = r.rngsubtype WHERE r.rngtypid = t.oid)::text,
                 (SELECT s.typname FROM pg_range r JOIN pg_type s ON s.oid = r.rngtypid WHERE r.rngmultitypid = t.oid)::text,
                 '-'),
        coalesce((SELECT p.provolatile FROM pg_proc p WHERE p.oid = t.typinput)::text, '-'),
        coalesce((SELECT p.provolatile FROM pg_proc p WHERE p.oid = t.typoutput)::text, '-'),
        CASE WHEN t.typmodin = 0 THEN '-' ELSE 'm' END) AS line
    FROM kinds t
    UNION ALL
    -- cast: from, to, context, method, volatility of its function
    SELECT concat_ws(E'\t', 'C', s.typname, t.typname, c.castcontext, c.castmethod,
        coalesce((SELECT p.provolatile FROM pg_proc p WHERE p.oid = c.castfunc)::text, '-'))
    FROM pg_cast c JOIN kinds s ON s.oid = c.castsource JOIN kinds t ON t.oid = c.casttarget
    UNION ALL
    -- operator: name, left type, right type, result, volatility and leakproofness of its function
    SELECT concat_ws(E'\t', 'O', o.oprname, coalesce(l.typname::text, '-'), r.typname, x.typname, p.provolatile,
        CASE WHEN p.proleakproof THEN 'l' ELSE '-' END)
    FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode JOIN kinds r ON r.oid = o.oprright
    JOIN kinds x ON x.oid = o.oprresult LEFT JOIN kinds l ON l.oid = o.oprleft
    WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND (o.oprleft = 0 OR l.oid IS NOT NULL)
    UNION ALL
    -- function: name, argument types, result, kind, element type of a variadic, defaults, volatility, leakproofness,
    -- whether it returns a set
    SELECT concat_ws(E'\t', 'F', p.proname,
        coalesce((SELECT string_agg(a.typname, ',' ORDER BY i) FROM unnest(p.proargtypes) WITH ORDINALITY u (o, i)
                  JOIN pg_type a ON a.oid = u.o), '-'),
        x.typname, p.prokind, coalesce((SELECT v.typname FROM pg_type v WHERE v.oid = p.provariadic)::text, '-'),
        p.pronargdefaults, p.provolatile, CASE WHEN p.proleakproof THEN 'l' ELSE '-' END,
        CASE WHEN p.proretset THEN 's' ELSE '-' END)
    FROM pg_proc p JOIN pg_type x ON x.oid = p.prorettype
    WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY ($1)
    UNION ALL
    -- time zones: full names, and abbreviations
    SELECT concat_ws(E'\t', 'Z', abbrev) FROM pg_timezone_abbrevs
) lines ORDER BY line COLLATE "C"
