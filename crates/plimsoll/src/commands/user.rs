//! `user`: accounts, with or without a running server.

use std::process::ExitCode;

use plimsoll_app::App;
use plimsoll_app::auth::{NewAccount, Origin, UserAdministration};
use plimsoll_core::page::{MAX_PAGE_SIZE, PageRequest};
use plimsoll_core::user::Role;
use plimsoll_store::UserRow;
use serde_json::{Value, json};

use crate::cli::{Cli, UserCommand};
use crate::config::load;
use crate::installation::{caller_for, user_by_email, with_app};
use crate::output::{Failure, Outcome, Output, table};
use crate::password;

pub(crate) fn run(cli: &Cli, command: &UserCommand, output: Output) -> Outcome {
    let sources = cli.sources();
    let (config, _) = load(&sources)?;
    match command {
        UserCommand::Create { email, name, admin } => {
            let account = NewAccount {
                email: email.clone(),
                password: password::read(&sources.environment, output)?,
                full_name: name.clone(),
            };
            let user = with_app(&config, async |app| create(app, account, *admin).await)?;
            let text = format!("made the account {} ({})", user.email, user.role.name());
            output.data(text, &view(&user));
        }
        UserCommand::List => {
            let users = with_app(&config, async |app| all(app).await)?;
            print_list(&users, output);
        }
        UserCommand::Disable { email } => {
            let user = with_app(&config, async |app| switch(app, email, false).await)?;
            output.data(format_args!("{} is locked out", user.email), &view(&user));
        }
        UserCommand::Enable { email } => {
            let user = with_app(&config, async |app| switch(app, email, true).await)?;
            output.data(
                format_args!("{} may sign in again", user.email),
                &view(&user),
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The first administrator takes over the row that owns what the server registered
/// by itself, exactly as the setup page does; everybody else gets a new one.
async fn create(app: &App, account: NewAccount, admin: bool) -> Result<UserRow, Failure> {
    if !admin {
        return Ok(app.create_user(None, account, Role::User).await?);
    }
    app.ensure_admin_row().await?;
    match app.new_setup_token().await? {
        Some(token) => Ok(app
            .setup(&token, account, &Origin::command_line())
            .await?
            .user),
        None => Ok(app.create_user(None, account, Role::Admin).await?),
    }
}

async fn all(app: &App) -> Result<Vec<UserRow>, Failure> {
    let caller = caller_for(app, None).await?;
    let mut users = Vec::new();
    for number in 1.. {
        let page = PageRequest {
            number,
            size: MAX_PAGE_SIZE,
        };
        let found = app.users(&caller, page).await?;
        let last = found.items.len() < MAX_PAGE_SIZE as usize;
        users.extend(found.items);
        if last {
            break;
        }
    }
    Ok(users)
}

async fn switch(app: &App, email: &str, is_active: bool) -> Result<UserRow, Failure> {
    let user = user_by_email(app, email).await?;
    let change = UserAdministration {
        is_active: Some(is_active),
        role: None,
    };
    Ok(app.set_user(None, user.id, change).await?)
}

fn print_list(users: &[UserRow], output: Output) {
    let rows: Vec<Vec<String>> = users
        .iter()
        .map(|user| {
            let state = match (user.is_active, user.password_hash.is_some()) {
                (false, _) => "disabled",
                (true, false) => "not set up",
                (true, true) => "active",
            };
            vec![
                user.email.clone(),
                user.role.name().to_owned(),
                state.to_owned(),
                user.created_at.to_string(),
                user.id.to_string(),
            ]
        })
        .collect();
    let views: Vec<Value> = users.iter().map(view).collect();
    output.data(
        table(&["EMAIL", "ROLE", "STATE", "CREATED", "ID"], &rows),
        &views,
    );
}

fn view(user: &UserRow) -> Value {
    json!({
        "id": user.id,
        "email": user.email,
        "full_name": user.full_name,
        "role": user.role,
        "is_active": user.is_active,
        "has_password": user.password_hash.is_some(),
        "created_at": user.created_at,
    })
}
