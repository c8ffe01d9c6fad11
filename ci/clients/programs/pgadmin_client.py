"""pgAdmin: the very statements its object browser sends, from the templates in its package, and its query tool's.

The package is unpacked, not installed: of the server only its SQL is wanted. What depends on who asks (privileges, owners,
numbers) is left out of what is compared.
"""
import os
import pathlib
import sys

import jinja2
import psycopg
from psycopg import pq, sql

from said import refused, rows, say, want

ROOT = pathlib.Path(os.environ.get("PGADMIN_TEMPLATES") or sys.argv[1])
AT = ROOT / "browser" / "server_groups" / "servers" / "databases"


class Folders(jinja2.BaseLoader):
    """A template by its path below the databases of the browser, or by what it calls one of its own macros."""

    def get_source(self, environment, template):
        places = [AT / template, *AT.glob(f"**/templates/{template}")]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise jinja2.TemplateNotFound(template)
        return found.read_text(encoding="utf-8"), str(found), lambda: True


def environment(db):
    made = jinja2.Environment(loader=Folders(), extensions=["jinja2.ext.do"])
    made.filters["qtLiteral"] = lambda value, *_: sql.Literal(value).as_string(db)
    made.filters["qtIdent"] = lambda value, *_: ".".join(sql.Identifier(str(part)).as_string(db) for part in (value if isinstance(value, (list, tuple)) else [value]))
    made.filters["qtTypeIdent"] = made.filters["qtIdent"]
    made.filters["hasAny"] = lambda value, *keys: any(key in value for key in keys)
    return made


# Node of the tree: the folder of its template, the file, and the columns that do not depend on who asks.
NODES = [
    ("schemas", "schemas/templates/schemas/pg/default/sql", "nodes.sql", ["name"]),
    ("tables", "schemas/tables/templates/tables/sql/default", "nodes.sql", ["name", "is_partitioned", "is_inherits", "triggercount"]),
    ("table", "schemas/tables/templates/tables/sql/default", "properties.sql", ["name", "schema", "relkind", "conname", "description", "relhassubclass"]),
    ("columns", "schemas/tables/templates/columns/sql/default", "nodes.sql", ["name", "oid", "datatype", "displaytypname", "not_null", "has_default_val"]),
    ("column", "schemas/tables/templates/columns/sql/default", "properties.sql", ["name", "attnum", "cltype", "attnotnull", "defval", "attidentity"]),
    ("keys", "schemas/tables/templates/index_constraint/sql/default", "nodes.sql", ["name"]),
    ("key", "schemas/tables/templates/index_constraint/sql/default", "properties.sql", ["name", "col_count", "indisunique"]),
    ("foreign keys", "schemas/tables/templates/foreign_key/sql/default", "nodes.sql", ["name"]),
    ("checks", "schemas/tables/templates/check_constraint/sql/default", "nodes.sql", ["name", "convalidated"]),
    ("indexes", "schemas/tables/templates/indexes/sql/default", "nodes.sql", ["name"]),
    ("index", "schemas/tables/templates/indexes/sql/default", "properties.sql", ["name", "amname", "indisunique"]),
    ("triggers", "schemas/tables/templates/triggers/sql/pg/default", "nodes.sql", ["name"]),
    ("rules", "schemas/tables/templates/rules/sql", "nodes.sql", ["name"]),
    ("row security", "schemas/tables/templates/row_security_policies/sql/default", "nodes.sql", ["name"]),
    ("views", "schemas/views/templates/views/pg/default/sql", "nodes.sql", ["name"]),
    ("sequences", "schemas/sequences/templates/sequences/sql/default", "nodes.sql", ["name"]),
    ("types", "schemas/types/templates/types/pg/sql/default", "nodes.sql", ["name"]),
    ("functions", "schemas/functions/templates/functions/pg/sql/default", "node.sql", ["name"]),
    ("domains", "schemas/domains/templates/domains/sql/default", "node.sql", ["name"]),
]


def picked(cursor, names):
    have = [column.name for column in cursor.description]
    at = [have.index(name) for name in names if name in have]
    found = [tuple(row[n] for n in at) for row in cursor.fetchall()]
    return sorted(found, key=repr)


def browse(db):
    made = environment(db)
    scid = db.execute("SELECT oid FROM pg_namespace WHERE nspname = 'app'").fetchone()[0]
    for table in ("types", "items", "people"):
        tid = db.execute("SELECT %s::regclass::oid", (f"app.{table}",)).fetchone()[0]
        did = db.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()[0]
        for node, place, file, names in NODES:
            values = {"scid": scid, "tid": tid, "did": did, "conn": db, "show_sys_objects": False, "datlastsysoid": 16383,
                      "table": table, "schema": "app", "constraint_type": "p", "is_extended": False, "show_system_objects": False,
                      "schema_name": "app", "rid": None, "cid": None, "idx": None, "clid": None, "vid": None}
            if node == "functions":
                values["prokind"] = "f"
            text = made.get_template(f"{place}/{file}").render(**values)
            with db.cursor() as cursor:
                cursor.execute(text)
                say(f"{table}: {node}", picked(cursor, names))


def tool(db):
    """The query tool sends what is written, reads it through a cursor, and says what it may edit."""
    db.execute("SET client_min_messages=notice")
    db.execute("SELECT set_config('bytea_output', 'hex', false) FROM pg_show_all_settings() WHERE name = 'bytea_output'")
    with db.transaction(), db.cursor(name="CURSOR:1") as cursor:
        cursor.execute("SELECT * FROM app.items ORDER BY id")
        say("grid", cursor.fetchmany(1000))
        say("grid columns", [(column.name, column.type_code) for column in cursor.description])
    # Whose columns are these? It goes by the numbers in the description of the result.
    found = db.pgconn.exec_params(b"SELECT id, name, amount FROM app.items", [], result_format=pq.Format.TEXT)
    say("source", [(found.ftablecol(n), found.ftable(n) != 0) for n in range(found.nfields)])
    key = """SELECT at.attname, at.attnum, ty.typname FROM pg_catalog.pg_attribute at
        LEFT JOIN pg_catalog.pg_type ty ON (ty.oid = at.atttypid)
        JOIN pg_catalog.pg_constraint con ON con.conrelid = at.attrelid AND con.contype = 'p' AND at.attnum = ANY (con.conkey)
        WHERE at.attrelid = %s::oid ORDER BY at.attnum"""
    say("key of the grid", db.execute(key, (found.ftable(0),)).fetchall())
    say("saved", db.execute("UPDATE app.items SET amount = %s::integer WHERE id = %s RETURNING amount, twice", (6, 1)).fetchall())
    plan = db.execute("EXPLAIN (FORMAT JSON, ANALYZE false, COSTS false) SELECT * FROM app.items WHERE id = 1").fetchone()[0]
    say("plan", plan[0]["Plan"]["Relation Name"])
    want("people", rows(db.execute("SELECT id, name, email, ssn FROM app.people ORDER BY id").fetchall()))
    want("secrets", refused(lambda: db.execute("SELECT * FROM app.secrets"), psycopg.Error))


def main():
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=None) as db:
        browse(db)
        tool(db)


main()
