//! The fault catalogue: everything that is known to go wrong between two systems, one row each,
//! with the behaviour that is owed and the test that proves it.
//!
//! The rows are F01 to F47 and F51 to F58. [`ROWS`] names a test for each; most stand in this
//! folder, sorted by the place where the fault strikes, and are tried over real sockets: a
//! `longhaul` of its own against the simulated systems, whose fault switches cut, stall, trickle,
//! reset, lie and lose. Every such test asserts the outcome (exit code, states, versions with
//! their digests, what was sent again) and that its fault really fired. Rows that are already
//! proved closer to the code name that test instead. The test at the end of this module keeps the
//! table honest: a row that is missing, or names a test that does not exist, fails.
//!
//! | Where it strikes | File |
//! |---|---|
//! | the source and its storage | `source.rs` |
//! | the destination, the commit above all | `destination.rs` |
//! | this process and its ledger | `process.rs` |
//! | answers that are not what they seem, names and addresses | `answers.rs` |

mod answers;
mod bench;
mod destination;
mod process;
mod source;

use std::collections::BTreeMap;
use std::path::Path;

/// Row, file, and name of a test that proves it.
#[rustfmt::skip] // One line a row reads as the table that it is.
const ROWS: &[(&str, &str, &str)] = &[
    ("F01", SOURCE, "f01_an_address_that_ends_is_renewed_and_reading_goes_on_at_the_byte"),
    ("F01", "src/iconik/tests/reading.rs", "many_refused_chunks_cause_one_renewal"),
    ("F02", SOURCE, "f02_withdrawn_and_deleted_masters_are_parked_and_nothing_of_them_is_filed"),
    ("F03", SOURCE, "f03_short_and_long_bodies_are_healed_from_the_exact_byte"),
    ("F03", "src/http/tests/bodies.rs", "a_body_that_is_cut_anywhere_is_an_error"),
    ("F03", "src/http/tests/bodies.rs", "exactly_the_expected_bytes_come_or_an_error_before_the_last_of_them"),
    ("F04", SOURCE, "f04_a_whole_answer_to_a_range_is_never_used_as_the_range"),
    ("F04", "src/transfer/tests.rs", "a_source_without_ranges_is_streamed_once_from_its_start"),
    ("F05", SOURCE, "f05_ranges_that_are_not_the_one_asked_for_are_refused"),
    ("F05", "src/iconik/bucket.rs", "a_range_is_taken_only_when_it_is_the_one_asked_for"),
    ("F06", SOURCE, "f06_an_encoded_body_is_refused"),
    ("F06", "src/http/request.rs", "compressed_answers_are_never_asked_for"),
    ("F07", SOURCE, "f07_a_master_replaced_while_it_is_read_is_filed_as_its_new_content_alone"),
    ("F08", SOURCE, "f08_without_a_strong_tag_a_replaced_master_is_noticed_by_its_date"),
    ("F08", "src/iconik/bucket.rs", "another_generation_is_noticed_by_tag_size_or_date"),
    ("F09", SOURCE, "f09_a_growing_master_is_not_begun_until_it_is_closed"),
    ("F10", SOURCE, "f10_bytes_that_differ_from_the_sources_digest_are_never_committed"),
    ("F11", SOURCE, "f11_sizes_around_every_edge_go_in_whole"),
    ("F12", SOURCE, "f12_a_master_beyond_every_limit_is_refused_before_its_first_byte"),
    ("F12", "src/types/range.rs", "the_last_piece_at_the_end_of_the_number_line_does_not_overflow"),
    ("F12", "src/transfer/plan.rs", "segments_cover_the_master_and_end_with_the_manifest"),
    ("F13", SOURCE, "f13_a_socket_that_falls_silent_is_left_for_a_new_one"),
    ("F14", "src/http/tests/bodies.rs", "a_trickling_body_is_given_up_though_it_never_stalls"),
    ("F14", "src/http/tests/bodies.rs", "a_slow_source_does_not_run_the_servers_clock"),
    ("F15", SOURCE, "f15_resets_everywhere_are_tried_again_and_double_nothing"),
    ("F15", "src/http/tests/exchange.rs", "a_name_without_address_is_a_dns_error"),
    ("F16", "src/http/tests/trust.rs", "bad_certificates_are_permanent_clear_and_no_byte_is_sent"),
    ("F16", "src/http/tests/trust.rs", "a_server_without_tls_or_with_an_old_one_is_not_talked_to"),
    ("F17", "src/http/tests/trust.rs", "a_peer_that_closes_without_farewell_is_fine_once_the_body_is_complete_and_else_a_cut"),
    ("F18", SOURCE, "f18_throttling_is_obeyed_and_burns_no_attempt"),
    ("F18", "src/http/retry.rs", "retry_after_is_read_as_seconds_or_a_date_and_capped"),
    ("F18", "src/http/retry.rs", "a_gate_holds_every_request_to_its_origin_and_no_other"),
    ("F19", SOURCE, "f19_an_enumeration_waits_for_iconik_and_goes_on_by_itself"),
    ("F19", "src/transfer/tests.rs", "an_outage_of_hours_fails_no_item_and_ends_by_itself"),
    ("F19", "src/transfer/hold.rs", "questions_grow_apart_to_a_minute_are_shared_and_end_with_the_first_answer"),
    ("F20", ANSWERS, "f20_pages_for_people_and_broken_json_are_never_taken_for_data"),
    ("F21", ANSWERS, "f21_deep_answers_are_asked_for_again_and_huge_ones_park_the_item"),
    ("F21", "src/iconik/tests/listing.rs", "a_listing_that_repeats_itself_is_an_error_and_not_an_endless_loop"),
    ("F21", "src/content_server/tests/reading.rs", "a_server_that_repeats_its_first_page_is_found_out"),
    ("F21", "src/content_server/tests/reading.rs", "missing_version_rows_are_noticed"),
    ("F22", DESTINATION, "f22_a_created_document_whose_answer_was_lost_is_found_and_not_sent_again"),
    ("F22", DESTINATION, "f22_a_create_that_never_happened_is_sent_again_once"),
    ("F22", DESTINATION, "f22_a_version_whose_answer_was_lost_is_found_and_one_that_never_was_waits"),
    ("F23", DESTINATION, "f23_a_document_created_late_appears_to_nobody_a_second_time"),
    ("F23", DESTINATION, "f23_a_version_applied_late_is_waited_for_and_not_sent_again"),
    ("F24", DESTINATION, "f24_a_part_whose_answer_was_lost_is_there_once"),
    ("F25", DESTINATION, "f25_parts_put_together_in_the_wrong_order_are_quarantined"),
    ("F26", DESTINATION, "f26_a_session_that_is_gone_is_looked_behind_and_begun_anew"),
    ("F27", DESTINATION, "f27_a_ticket_that_ends_inside_a_part_costs_one_sign_in"),
    ("F28", DESTINATION, "f28_a_refused_sign_in_is_tried_once_and_stops_everything"),
    ("F29", DESTINATION, "f29_a_name_that_others_hold_is_left_to_them"),
    ("F29", "src/transfer/tests.rs", "a_name_that_is_taken_is_never_overwritten"),
    ("F30", DESTINATION, "f30_masters_of_one_name_get_their_own_names_for_ever"),
    ("F30", "src/ledger/tests/adding.rs", "names_that_a_container_takes_for_the_same_are_found"),
    ("F31", DESTINATION, "f31_reserved_and_forbidden_documents_wait_or_are_parked_and_stay_as_they_are"),
    ("F32", DESTINATION, "f32_a_full_destination_is_waited_for_with_the_session_kept"),
    ("F33", DESTINATION, "f33_a_version_of_another_size_is_quarantined"),
    ("F34", DESTINATION, "f34_a_bit_flipped_on_the_way_is_quarantined_with_both_digests"),
    ("F35", DESTINATION, "f35_a_bit_flipped_at_rest_is_reported_and_not_repaired"),
    ("F36", DESTINATION, "f36_a_refused_description_keeps_the_content_and_is_tried_again_alone"),
    ("F37", DESTINATION, "f37_a_document_is_visible_only_when_everything_else_is_done"),
    ("F38", DESTINATION, "f38_documents_that_people_moved_renamed_or_deleted_are_theirs"),
    ("F39", "src/ledger/tests/durability.rs", "a_full_disk_latches_and_nothing_is_done_after_it"),
    ("F39", "src/ledger/tests/durability.rs", "a_file_that_cannot_be_written_latches_too"),
    ("F40", "src/ledger/tests/durability.rs", "a_lock_held_by_a_database_tool_loses_nothing"),
    ("F41", "src/ledger/tests/ownership.rs", "a_damaged_file_is_kept_and_adopting_is_offered"),
    ("F41", "src/ledger/tests/durability.rs", "a_flipped_bit_in_the_log_is_a_prefix_of_history_too_and_noticed"),
    ("F42", "src/ledger/tests/durability.rs", "a_log_cut_anywhere_leaves_a_prefix_of_history"),
    ("F42", "src/ledger/tests/ownership.rs", "a_new_start_of_the_machine_calls_for_a_barrier_unless_the_stop_was_clean"),
    ("F43", PROCESS, "f43_a_lost_or_older_ledger_doubles_nothing"),
    ("F43", "src/transfer/tests.rs", "a_lost_ledger_takes_no_earlier_content_of_the_same_size_for_the_current"),
    ("F43", "src/ledger/tests/ownership.rs", "an_older_copy_in_place_of_the_ledger_is_noticed"),
    ("F44", "src/transfer/tests.rs", "stopped_at_any_moment_it_goes_on_and_files_once"),
    ("F44", "tests/all/filing.rs", "killed_again_and_again_the_archive_ends_as_if_nothing_had_happened"),
    ("F45", PROCESS, "f45_the_first_sigterm_drains_and_the_second_leaves"),
    ("F46", "src/transfer/clock.rs", "a_clock_that_is_put_forward_or_back_changes_no_quiet_time"),
    ("F46", "src/transfer/clock.rs", "after_a_new_start_of_the_machine_only_the_time_of_this_process_counts"),
    ("F46", "src/transfer/tests.rs", "an_item_that_a_clock_set_back_has_put_out_of_reach_is_taken_all_the_same"),
    ("F47", PROCESS, "f47_a_second_process_on_a_ledger_is_told_who_has_it"),
    ("F47", "src/ledger/place.rs", "network_file_systems_are_known_by_their_magic_numbers"),
    ("F51", "src/ledger/tests/adding.rs", "a_hundred_thousand_items_are_added_and_taken_without_looking_at_them_all"),
    ("F51", "src/content_server/tests/reading.rs", "without_the_name_check_all_similar_children_are_compared_exactly"),
    ("F51", "tests/all/ways.rs", "a_library_of_hundreds_streams_through"),
    ("F52", ANSWERS, "f52_every_name_is_filed_under_one_of_its_own"),
    ("F52", "src/content_server/names.rs", "a_long_name_is_cut_in_its_stem"),
    ("F53", ANSWERS, "f53_the_same_bytes_twice_are_two_documents"),
    ("F54", PROCESS, "f54_few_descriptors_and_a_full_log_disk_end_no_run_in_a_panic"),
    ("F55", PROCESS, "f55_memory_stays_within_the_budget_when_the_destination_is_slow"),
    ("F55", "src/transfer/tests.rs", "eight_files_share_a_budget_of_one_and_a_half_parts"),
    ("F56", ANSWERS, "f56_addresses_and_redirects_that_lead_elsewhere_are_never_dialled"),
    ("F56", "src/http/guard.rs", "no_spelling_of_a_private_address_gets_past"),
    ("F56", "src/http/tests/trust.rs", "a_name_that_turns_to_a_private_address_is_refused_and_a_mixed_one_uses_the_public_part"),
    ("F57", ANSWERS, "f57_secrets_stay_with_the_host_they_belong_to"),
    ("F57", "src/http/request.rs", "a_credential_goes_to_its_own_origin_only"),
    ("F58", ANSWERS, "f58_a_name_never_becomes_a_path"),
    ("F58", "src/iconik/mount.rs", "nothing_outside_the_mount_is_read"),
];

const SOURCE: &str = "tests/all/faults/source.rs";
const DESTINATION: &str = "tests/all/faults/destination.rs";
const PROCESS: &str = "tests/all/faults/process.rs";
const ANSWERS: &str = "tests/all/faults/answers.rs";

/// Whether `text` has a test of that name that is not ignored.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let signature = line.trim_start_matches("async ");
        let named = signature
            .strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('('));
        let above = || {
            let attributes = lines[..at].iter().rev();
            attributes.take_while(|line| line.starts_with("#[") || line.starts_with("//"))
        };
        named
            && above().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
            && !above().any(|line| line.starts_with("#[ignore"))
    })
}

#[test]
fn every_row_of_the_catalogue_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = BTreeMap::new();
    let mut missing = Vec::new();
    for (row, file, test) in ROWS {
        let text = files.entry(*file).or_insert_with(|| {
            std::fs::read_to_string(root.join(file))
                .unwrap_or_else(|error| panic!("{row}: {file}: {error}"))
        });
        if !has_test(text, test) {
            missing.push(format!("{row}: {file} has no test {test}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    for number in (1..=47).chain(51..=58) {
        let row = format!("F{number:02}");
        assert!(ROWS.iter().any(|(named, ..)| *named == row), "{row}");
    }
    // The other way round: no test of this folder is left out of the table.
    for file in [SOURCE, DESTINATION, PROCESS, ANSWERS] {
        for line in files[file].lines().map(str::trim) {
            let name = line
                .strip_prefix("fn f")
                .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
                .and_then(|rest| rest.split('(').next());
            if let Some(name) = name {
                let name = format!("f{name}");
                let row = name[..3].to_ascii_uppercase();
                let listed = ROWS
                    .iter()
                    .any(|(named, at, test)| (*named, *at, *test) == (&*row, file, &*name));
                assert!(listed, "{file}: {name}");
            }
        }
    }
}

#[test]
fn the_reader_of_tests_takes_nothing_else_for_one() {
    let text = "#[test]\nfn a_b() {}\nfn c() {}\n\n\n\n#[tokio::test(x)]\nasync fn d() {}\n#[test]\n#[ignore]\nfn e() {}\n";
    let found: Vec<_> = ["a_b", "a", "c", "d", "e"]
        .into_iter()
        .filter(|name| has_test(text, name))
        .collect();
    assert_eq!(found, ["a_b", "d"]);
}
