//! The control plane over HTTP and its agent link, each case on the embedded SQLite file and on a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's own helpers fail loudly"
)]

mod api;
mod audit;
mod authorities;
mod backup;
mod belongings;
mod browser;
mod bundles;
mod certificates;
mod connect;
mod connections;
mod console;
mod enrolment;
mod evidence;
mod held;
mod identity_links;
mod lasting;
mod lifecycle;
mod link;
mod loaded;
mod members;
mod metrics;
mod notices;
mod openapi;
mod otlp;
mod pages;
mod passkeys;
mod people;
mod process;
mod readiness;
mod replicas;
mod requests;
mod rotation;
mod routes;
mod saml;
mod saml_attacks;
mod saml_logout;
mod saml_peers;
mod scim;
mod scim_lists;
mod scim_returns;
mod soft_key;
mod sso;
mod sso_links;
mod tls;
mod workloads;
mod world;

/// Each case once per engine; PostgreSQL starts once and gives every case a database of its own.
macro_rules! contract {
    ($($module:ident :: $case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                crate::$module::$case(crate::world::World::start(None).await).await;
            })*
        }

        #[tokio::test]
        async fn the_same_contract_holds_on_postgresql() {
            let server = world::Postgres::start();
            $(
                let url = server.database(stringify!($case)).await;
                // On the heap: all of them together do not fit a test's stack.
                Box::pin(async { $module::$case(world::World::start(Some(url)).await).await }).await;
            )*
        }
    };
}

contract![
    lifecycle::the_first_organization_is_made_once,
    lifecycle::a_restart_keeps_everything,
    lifecycle::a_lost_key_file_is_not_papered_over,
    metrics::numbers_move_with_what_happens,
    routes::every_route_refuses_strangers_and_wrong_roles,
    routes::every_route_keeps_tenants_apart,
    routes::bodies_are_bounded_and_strict,
    openapi::every_refusal_is_a_problem,
    api::a_request_with_a_key_is_done_once,
    api::a_key_whose_request_failed_or_was_left_alone_is_as_good_as_new,
    api::lists_go_on_where_their_links_say,
    people::a_token_can_be_made_used_deleted_and_expires,
    people::members_are_not_admins,
    people::impossible_people_are_refused,
    people::a_disabled_user_is_out_at_once,
    lasting::an_api_token_makes_no_admin_however_it_tries,
    lasting::what_was_made_for_less_is_not_an_admins,
    lasting::a_scim_token_is_what_made_it,
    members::an_admin_invites_and_an_auditor_only_looks_on,
    members::an_invite_says_what_it_would_not_do,
    console::every_page_refuses_strangers_and_wrong_roles,
    console::every_page_keeps_tenants_apart,
    console::a_link_signs_in_once_and_only_by_the_button,
    console::nothing_is_changed_from_another_site,
    console::signing_in_and_moving_always_begins_another_session,
    console::what_the_pages_change_is_changed,
    console::the_audit_is_found_and_taken_out_whole,
    saml_logout::people_sign_in_and_out_by_saml_on_either_engine,
    passkeys::a_passkey_signs_in_with_and_without_a_name,
    saml_logout::an_answer_is_to_a_notice_that_was_sent_and_once,
    passkeys::what_does_not_answer_rightly_signs_nobody_in,
    passkeys::a_passkey_answers_for_its_person_in_its_browser_and_in_time,
    passkeys::what_does_not_answer_rightly_is_not_added,
    passkeys::a_passkey_is_added_by_whoever_is_proven_and_nobody_else,
    passkeys::what_an_idle_browser_gave_ends_with_the_passkey_it_came_by,
    passkeys::a_passkey_opens_what_its_person_belongs_to_and_no_more,
    passkeys::whoever_lost_every_passkey_is_let_in_again_in_that_organization,
    certificates::a_user_certificate_names_its_caller_for_at_most_twelve_hours,
    certificates::an_agent_renews_its_own_certificate,
    authorities::a_new_authority_takes_the_place_of_the_old_while_everything_goes_on,
    authorities::the_page_says_whom_a_change_waits_for_and_an_auditor_only_looks_on,
    authorities::a_change_goes_on_and_ends_by_itself_and_not_before_nothing_stands_on_the_old_one,
    authorities::an_agent_that_was_away_follows_and_a_forced_end_is_the_end,
    enrolment::an_agent_enrols_once_and_is_named_by_its_token,
    enrolment::a_relay_enrols_once_and_can_verify_tickets,
    bundles::only_signed_bundles_for_this_place_are_published,
    bundles::the_head_moves_forward_by_compare_and_swap,
    bundles::trust_files_are_for_this_organization,
    rotation::a_rotation_reaches_agents_and_cannot_be_forged,
    rotation::freshness_is_said_of_the_published_bundle_once_the_trust_file_allows,
    link::a_new_link_gets_everything_and_changes_at_once,
    link::a_deleted_token_takes_its_certificates_along,
    link::what_an_agent_reports_is_stored,
    link::impossible_messages_end_the_link_with_a_reason,
    link::an_agent_that_was_told_of_a_directory_out_of_reach_gets_ours_in_its_place,
    link::an_agent_that_missed_some_is_told_what_changed_since,
    link::an_agent_that_was_told_of_access_out_of_reach_gets_ours_in_its_place,
    link::somebody_with_a_links_token_takes_no_more_memory_than_its_agent,
    loaded::an_agent_that_says_much_before_it_listens_is_heard_and_told_much,
    link::a_second_link_replaces_the_first,
    link::servers_over_one_database_push_for_each_other,
    link::a_stopping_server_says_so,
    link::a_removed_agent_is_out_at_once,
    scim::every_scim_route_refuses_strangers_wrong_tokens_and_other_tenants,
    scim::a_provider_like_okta_keeps_members_and_groups,
    scim::a_provider_like_entra_keeps_members_and_groups,
    scim::pages_versions_and_parts_are_as_asked,
    scim::provisioning_gives_no_role_and_leaves_somebody_in_charge,
    scim_returns::whom_an_admin_disabled_provisioning_does_not_enable,
    scim_returns::whoever_comes_back_under_a_name_gets_nothing_of_whoever_had_it,
    scim::whom_the_provider_deactivates_agents_hear_of_at_once,
    evidence::the_log_is_taken_out_as_evidence_and_its_checkpoints_stay_good,
    scim_lists::what_the_database_finds_is_what_looking_at_everybody_finds,
    audit::what_an_agent_recorded_is_stored_once_and_confirmed,
    audit::whoever_has_only_the_links_token_adds_nothing_to_a_history,
    audit::a_batch_that_does_not_hang_together_ends_the_link_and_is_not_stored,
    requests::a_request_is_approved_by_others_and_reaches_the_agent,
    requests::what_is_held_is_extended_and_ended_and_the_agent_says_so,
    requests::an_agent_that_comes_back_is_told_everything_that_is_not_over,
    requests::only_what_the_bundle_declares_can_be_asked_for_and_approved,
    requests::requests_are_seen_by_those_they_concern,
    requests::an_approval_at_one_server_reaches_the_agent_of_another,
    connections::what_an_agent_no_longer_has_ends_when_it_says_what_it_has,
    connections::connections_are_found_and_taken_out_whole,
    workloads::a_job_limited_to_databases_reaches_these_and_nothing_else,
    connect::an_offer_has_addresses_and_tickets_for_one_agent,
];
