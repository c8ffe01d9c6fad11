//! The protocol: requests in, answers out, findings whenever they change.
//!
//! Texts are taken as they come; one task checks the project and tells what is new, so a fast typist is checked on
//! the last text and not on every one.

use super::place::Unit;
use super::state::{Change, State};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tower_lsp_server::jsonrpc::Result;
use tower_lsp_server::ls_types::{
    CodeActionOrCommand, CodeActionParams, CodeActionProviderCapability, CodeActionResponse,
    CompletionOptions, CompletionParams, CompletionResponse, DidChangeTextDocumentParams,
    DidChangeWatchedFilesParams, DidChangeWatchedFilesRegistrationOptions, DidCloseTextDocumentParams,
    DidOpenTextDocumentParams, DidSaveTextDocumentParams, DocumentFormattingParams, FileSystemWatcher,
    GlobPattern, GotoDefinitionParams, GotoDefinitionResponse, Hover, HoverParams, HoverProviderCapability,
    InitializeParams, InitializeResult, InitializedParams, OneOf, PositionEncodingKind, Registration,
    ServerCapabilities, ServerInfo, TextDocumentSyncCapability, TextDocumentSyncKind, TextEdit,
};
use tower_lsp_server::{Client, LanguageServer};

/// How many files the editor is told of before it is asked whether it has something new to say.
const BATCH: usize = 64;

/// The server of one editor.
#[derive(Debug)]
pub(super) struct Daam {
    client: Client,
    shared: Arc<Shared>,
}

/// What requests and the task that checks share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Changes in the order the editor made them, until somebody needs the state. Put in without waiting: two edits
    /// must never change places.
    inbox: Mutex<Vec<Change>>,
    changed: Notify,
    /// Whether the editor says when files change on disk.
    watches: AtomicBool,
}

impl Shared {
    fn put(&self, change: Change) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        self.changed.notify_one();
    }

    fn has_news(&self) -> bool {
        !self.inbox.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Does something with the state, all changes taken.
    fn act<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = std::mem::take(&mut *self.inbox.lock().unwrap_or_else(PoisonError::into_inner));
        for change in changes {
            state.take(change);
        }
        act(&mut state)
    }
}

impl Daam {
    pub(super) fn new(client: Client) -> Self {
        let server = Self { client, shared: Arc::new(Shared::default()) };
        server.keep_telling();
        server
    }

    /// Checks after every change; changes during a check become one more check, and so do changes while the editor
    /// is being told of many files.
    fn keep_telling(&self) {
        let (client, shared) = (self.client.clone(), Arc::clone(&self.shared));
        tokio::spawn(async move {
            loop {
                shared.changed.notified().await;
                let mut news = work(&shared, |state| {
                    state.check();
                    state.news(BATCH)
                })
                .await
                .unwrap_or_default();
                while !news.is_empty() {
                    for (uri, found) in news {
                        client.publish_diagnostics(uri, found, None).await;
                    }
                    if shared.has_news() {
                        break;
                    }
                    news = work(&shared, |state| state.news(BATCH)).await.unwrap_or_default();
                }
            }
        });
    }

    /// Does something with the state away from the threads that move bytes. Only a fault of ours gives nothing.
    async fn with<T: Send + 'static>(&self, act: impl FnOnce(&mut State) -> T + Send + 'static) -> Option<T> {
        work(&self.shared, act).await
    }
}

async fn work<T: Send + 'static>(
    shared: &Arc<Shared>,
    act: impl FnOnce(&mut State) -> T + Send + 'static,
) -> Option<T> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || shared.act(act)).await.ok()
}

impl LanguageServer for Daam {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        let offered = params.capabilities.general.and_then(|general| general.position_encodings);
        let bytes = offered.is_some_and(|kinds| kinds.contains(&PositionEncodingKind::UTF8));
        let unit = if bytes { Unit::Byte } else { Unit::Utf16 };
        let folders = params.workspace_folders.unwrap_or_default().into_iter().map(|folder| folder.uri);
        let roots: Vec<PathBuf> =
            folders.filter_map(|uri| uri.to_file_path().map(std::borrow::Cow::into_owned)).collect();
        self.with(move |state| {
            state.unit = unit;
            for root in &roots {
                state.enter(root);
            }
        })
        .await;
        let encoding = if bytes { PositionEncodingKind::UTF8 } else { PositionEncodingKind::UTF16 };
        Ok(InitializeResult {
            capabilities: ServerCapabilities {
                position_encoding: Some(encoding),
                text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::FULL)),
                hover_provider: Some(HoverProviderCapability::Simple(true)),
                completion_provider: Some(CompletionOptions {
                    trigger_characters: Some(vec![".".to_owned(), " ".to_owned()]),
                    ..CompletionOptions::default()
                }),
                definition_provider: Some(OneOf::Left(true)),
                code_action_provider: Some(CodeActionProviderCapability::Simple(true)),
                document_formatting_provider: Some(OneOf::Left(true)),
                ..ServerCapabilities::default()
            },
            server_info: Some(ServerInfo {
                name: "daam".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
            ..InitializeResult::default()
        })
    }

    async fn initialized(&self, _: InitializedParams) {
        let watchers = ["**/*.yaml", "**/*.yml", "**/*.json"]
            .map(|glob| FileSystemWatcher { glob_pattern: GlobPattern::String(glob.to_owned()), kind: None });
        let options = DidChangeWatchedFilesRegistrationOptions { watchers: watchers.to_vec() };
        let registration = Registration {
            id: "files".to_owned(),
            method: "workspace/didChangeWatchedFiles".to_owned(),
            register_options: serde_json::to_value(options).ok(),
        };
        // An editor that cannot watch files says so; everything is then read again whenever a file is saved.
        match self.client.register_capability(vec![registration]).await {
            Ok(()) => self.shared.watches.store(true, Ordering::Relaxed),
            Err(error) => tracing::debug!(%error, "the editor does not watch files"),
        }
        self.shared.changed.notify_one();
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        self.shared.put(Change::Edited(params.text_document.uri, params.text_document.text));
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        // Whole texts are agreed on, so the last change is the text.
        if let Some(change) = params.content_changes.into_iter().next_back() {
            self.shared.put(Change::Edited(params.text_document.uri, change.text));
        }
    }

    async fn did_save(&self, params: DidSaveTextDocumentParams) {
        let watches = self.shared.watches.load(Ordering::Relaxed);
        self.shared.put(if watches { Change::OnDisk(params.text_document.uri) } else { Change::Everything });
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        self.shared.put(Change::Closed(params.text_document.uri));
    }

    async fn did_change_watched_files(&self, params: DidChangeWatchedFilesParams) {
        for change in params.changes {
            self.shared.put(Change::OnDisk(change.uri));
        }
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        let at = params.text_document_position_params;
        Ok(self.with(move |state| state.hover(&at.text_document.uri, at.position)).await.flatten())
    }

    async fn completion(&self, params: CompletionParams) -> Result<Option<CompletionResponse>> {
        let at = params.text_document_position;
        let found = self.with(move |state| state.complete(&at.text_document.uri, at.position)).await;
        Ok(found.map(CompletionResponse::Array))
    }

    async fn goto_definition(&self, params: GotoDefinitionParams) -> Result<Option<GotoDefinitionResponse>> {
        let at = params.text_document_position_params;
        let found = self.with(move |state| state.define(&at.text_document.uri, at.position)).await;
        Ok(found.map(GotoDefinitionResponse::Array))
    }

    async fn code_action(&self, params: CodeActionParams) -> Result<Option<CodeActionResponse>> {
        let found = self.with(move |state| state.repairs(&params.text_document.uri, params.range)).await;
        Ok(found.map(|found| found.into_iter().map(CodeActionOrCommand::CodeAction).collect()))
    }

    async fn formatting(&self, params: DocumentFormattingParams) -> Result<Option<Vec<TextEdit>>> {
        Ok(self.with(move |state| state.format(&params.text_document.uri)).await.flatten())
    }
}
