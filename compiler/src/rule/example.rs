//! The small project the examples of the rules live in, so that each of them is complete and can be run.
//!
//! An example is one or more documents. It is the file `policies/example.yaml` of the project unless a line
//! `# file: path` begins another file; a file that the project has already is replaced.

/// Where an example goes that names no file.
pub const DEFAULT_FILE: &str = "policies/example.yaml";

/// `daam.yaml` of the project.
pub const PROJECT: &str = "\
kind: project
attributes: { region: text, tenant_id: uuid }
databases:
  shop: { lock: schema/shop, policies: [policies/*.yaml] }
";

/// What the schema lock of the project says, one relation or function a line.
pub const SCHEMA: &str = "\
table public.customers: id integer not null, email text, region text
table public.orders: id integer not null, customer_id integer, region text, tenant_id uuid, status text not null, total numeric, note text, label text generated from note, placed_at timestamptz
table public.order_items: id integer not null, order_id integer references public.orders.id, product_id integer, price numeric
table analytics.events: id integer not null, client_ip inet, kind text
table analytics.clicks: id integer not null, day date not null, region text
index analytics.clicks(day)
size analytics.clicks large
table ops.services: id integer not null, token text
table hr.shifts: id integer not null, begins timestamptz
view public.order_notes reads public.orders.note: id integer, note text
view public.order_labels reads public.orders.label: id integer, label text
table analytics.events_eu inherits analytics.events: id integer not null, client_ip inet, kind text
function public.order_total(integer) stable
function public.shuffle() volatile
function public.is_current(integer) returns boolean stable callers
function public.is_listed(integer) returns boolean stable pinned
captured 2026-10-01
";

/// What the schema lock `schema/legacy` says, of a database that is open by itself.
pub const LEGACY: &str = "\
table public.prices: id integer not null, price numeric
public public.prices select
foreign public.remote_orders: id integer, total numeric
function public.balance_of(integer) stable definer pinned public
function public.close_account(integer) volatile definer
function public.send_mail(text) volatile untrusted=plperlu
captured 2026-10-01
";

/// The files of an example, by path, with those of the project it does not replace.
pub fn files(example: &str) -> Vec<(String, String)> {
    let mut files = vec![("daam.yaml".to_owned(), PROJECT.to_owned())];
    let mut path = DEFAULT_FILE.to_owned();
    let mut text = String::new();
    let mut put = |path: &str, text: String| {
        if text.trim().is_empty() {
            return;
        }
        files.retain(|(known, _)| known != path);
        files.push((path.to_owned(), text));
    };
    for line in example.lines() {
        if let Some(next) = line.strip_prefix("# file: ") {
            put(&path, std::mem::take(&mut text));
            next.trim().clone_into(&mut path);
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    put(&path, text);
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_names_a_file_begins_it() {
        let files = files("a: 1\n# file: daam.yaml\nb: 2\n# file: x/y.yaml\nc: 3\n");
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, [DEFAULT_FILE, "daam.yaml", "x/y.yaml"]);
        assert_eq!(files.get(1).map(|(_, text)| text.as_str()), Some("b: 2\n"));
    }
}
