"""SQLAlchemy: reflection of a schema, the ORM's unit of work, RETURNING, its pool's reset."""
import os

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.ext.automap import automap_base

from said import rows, say, want


def main():
    url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://")
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True)
    inspector = sa.inspect(engine)
    say("schema", "app" in inspector.get_schema_names())
    for table in ("types", "items"):
        say(f"columns of {table}", [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table, schema="app")])
        say(f"key of {table}", inspector.get_pk_constraint(table, schema="app")["constrained_columns"])
        say(f"indexes of {table}", [(i["name"], i["column_names"], i["unique"]) for i in inspector.get_indexes(table, schema="app")])
        say(f"checks of {table}", inspector.get_check_constraints(table, schema="app"))
        say(f"comment of {table}", inspector.get_table_comment(table, schema="app"))
    say("enums", inspector.get_enums(schema="app"))
    metadata = sa.MetaData(schema="app")
    metadata.reflect(engine, only=["items", "types", "people", "contacts"])
    base = automap_base(metadata=metadata)
    base.prepare()
    item, person, contact = base.classes["items"], base.classes.people, base.classes.contacts
    with Session(engine) as session:
        say("query", [(i.id, i.name, i.amount, i.twice) for i in session.scalars(sa.select(item).order_by(item.id))])
        made = item(name="fig", amount=4)
        session.add(made)
        session.flush()
        say("flushed", (made.id, made.twice, made.made.isoformat()))
        session.add_all([item(name=name) for name in ("a", "b", "c")])
        session.commit()
        made.amount = 9
        session.commit()
        say("updated", (made.amount, made.twice))
        session.delete(made)
        session.commit()
        say("count", session.scalar(sa.select(sa.func.count()).select_from(item)))
        session.begin_nested()
        session.add(item(name="apple"))
        try:
            session.flush()
        except sa.exc.IntegrityError as error:
            say("unique", error.orig.sqlstate)
        session.rollback()
    with Session(engine) as session:
        people = session.scalars(sa.select(person).order_by(person.id)).all()
        want("people", rows([(p.id, p.name, p.email, p.ssn) for p in people]))
        for name, key in (("by key", 1), ("by key again", 3)):
            session.expunge_all()
            found = session.get(person, key)
            want(name, rows([(found.name, found.email)]))
        compared = sa.select(sa.func.count()).select_from(person).where(person.email == "ann@example.com")
        want("compared", session.scalar(compared))
        joined = sa.select(person.name, item.name).join(item, item.id == person.id).order_by(person.name)
        want("joined", rows(session.execute(joined).all()))
        made = contact(email="emil@example.com", note="second")
        session.add(made)
        session.commit()
        session.refresh(made)
        want("insert", rows([(made.id, made.email, made.note)]))
        first = session.get(contact, 1)
        first.note = "changed"
        session.commit()
        want("update", rows([(first.email, first.note)]))
        want("delete", session.execute(sa.delete(contact)).rowcount)
        session.commit()
        try:
            session.execute(sa.text("SELECT * FROM app.secrets"))
        except sa.exc.ProgrammingError as error:
            want("secrets", error.orig.sqlstate)


main()
