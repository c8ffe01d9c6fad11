//! One contract, two engines: every case runs on the embedded SQLite file and on a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's own helpers fail loudly"
)]

mod agent_audit;
mod agents;
mod audit;
mod audit_exports;
mod authorities;
mod bundles;
mod engine;
mod full;
mod hung_up;
mod identity;
mod lineage;
mod members;
mod observations;
mod order;
mod organization;
mod people;
mod requests;
mod saml_providers;
mod schema;
mod scim_lookup;
mod statements;
mod tenants;
mod tokens;
mod walls;
mod workloads;

/// Each case once per engine; PostgreSQL starts once and gives every case a database of its own.
macro_rules! contract {
    ($($module:ident :: $case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let (db, _dir) = crate::engine::sqlite().await;
                crate::$module::$case(db).await;
            })*
        }

        #[tokio::test]
        async fn the_same_contract_holds_on_postgresql() {
            let server = engine::Postgres::start();
            $(
                println!("{}", stringify!($module::$case));
                // On the heap: all of them together do not fit a test's stack.
                Box::pin(async { $module::$case(server.database(stringify!($case)).await).await }).await;
            )*
        }
    };
}

contract![
    statements::every_statement_prepares,
    organization::the_first_organization_is_made_once_whoever_asks,
    organization::a_taken_slug_is_said_so,
    workloads::a_jobs_token_counts_once_and_what_it_gave_ends_with_its_trust,
    authorities::neither_a_restart_nor_a_refusal_is_belief,
    authorities::one_that_is_gone_for_good_holds_nothing_up,
    authorities::one_that_never_was_here_is_not_missed_by_a_server_that_begins,
    authorities::nobody_is_admitted_by_an_authority_that_was_retired_meanwhile,
    tokens::a_token_lives_until_it_expires_or_is_deleted,
    tokens::certificates_end_with_the_token_that_asked_for_them,
    tokens::enrolment_tokens_end_with_their_maker,
    tokens::members_delete_only_their_own_tokens,
    tokens::a_token_made_while_its_user_is_disabled_never_speaks,
    tokens::an_enrolment_token_admits_one_agent_however_many_ask,
    tokens::an_enrolment_token_is_for_its_kind_and_its_time,
    people::a_change_is_a_new_directory_version,
    people::disabling_a_user_ends_tokens_and_certificates,
    people::the_last_admin_stays_even_when_two_leave_at_once,
    people::writers_do_not_fail_each_other,
    members::an_invite_is_used_once_and_joins_whoever_takes_it_up,
    members::a_membership_somebody_took_up_cannot_be_invited_to,
    members::one_person_in_two_organizations_moves_between_them_only_with_proof_of_their_own,
    members::a_session_ends_by_idleness_by_age_and_with_its_membership,
    members::a_link_made_with_a_token_ends_with_it,
    identity::a_provider_lets_in_by_subject_and_never_by_address,
    identity::named_groups_are_what_the_provider_says_and_others_stay,
    identity::a_sign_in_under_way_is_of_one_browser_and_once,
    identity::whoever_fills_the_list_of_sign_ins_keeps_nobody_out,
    identity::signing_out_at_the_provider_ends_what_was_begun_there,
    saml_providers::a_saml_provider_is_changed_but_never_becomes_another_one,
    saml_providers::what_a_saml_provider_says_counts_once_and_ends_what_it_names,
    saml_providers::the_session_a_sign_in_began_in_is_found_and_ended_without_its_cookie,
    scim_lookup::a_look_up_finds_whom_it_could_mean_in_its_own_organization,
    lineage::what_an_admin_made_for_others_ends_with_them,
    lineage::a_token_ends_with_the_one_it_was_made_with,
    lineage::what_was_made_in_a_sign_in_at_a_provider_ends_with_it,
    lineage::a_program_is_signed_out_with_the_session_that_let_it_in,
    lineage::a_credential_that_ended_makes_no_more,
    bundles::publishing_is_compare_and_swap,
    bundles::a_new_epoch_may_start_with_a_lower_serial,
    bundles::a_trust_file_does_not_step_back,
    hung_up::what_is_dropped_on_its_way_leaves_no_view_and_no_transaction,
    agents::an_agent_is_online_while_its_link_is_seen,
    agents::what_many_agents_say_at_once_is_stored_of_each_and_of_nobody_else,
    agents::a_briefing_is_one_organizations,
    agents::a_directory_older_than_an_agents_becomes_the_later_one,
    agents::a_removed_agent_is_gone_but_its_certificates_stay_revoked,
    agents::servers_wake_each_other,
    agents::relays_say_where_they_listen,
    observations::a_schema_report_replaces_everything,
    observations::repeated_violations_fold_over_five_minutes,
    observations::a_session_ends_once,
    observations::sessions_that_ended_are_forgotten_and_no_others,
    observations::sessions_end_with_what_their_agent_has,
    tenants::no_tenant_sees_or_changes_another_ones_rows,
    agent_audit::a_chain_is_continued_whatever_comes_twice,
    agent_audit::a_record_that_does_not_follow_is_refused_and_a_gap_stays_visible,
    agent_audit::a_new_chain_takes_over_and_tenants_see_their_own,
    requests::a_decision_is_made_once_on_what_was_read,
    requests::an_extension_is_granted_by_those_who_approved_it,
    requests::what_waits_is_bounded_and_lists_go_on_where_they_ended,
    requests::agents_say_what_became_of_it_and_only_of_their_own,
    requests::a_notice_is_delivered_once_however_many_servers_try,
    requests::everybody_of_a_large_group_is_written_to_once,
    audit::every_change_is_in_the_audit_and_the_chain_is_whole,
    audit_exports::an_audit_goes_on_where_it_arrived_whoever_sends_it,
    audit::a_log_verifies_by_its_checkpoints_also_after_old_entries_went,
];
