//! The gardener, written with kube-rs.
//!
//!     KUBECONFIG=FILE gardener NAMESPACE
use std::{collections::BTreeMap, env, sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
    runtime::{
        Controller,
        controller::Action,
        finalizer::{Error as FinalizerError, Event, finalizer},
        watcher,
    },
};
use serde_json::{Value, json};

const GROUP: &str = "foreign.example.com";
const FINALIZER: &str = "foreign.example.com/gardener";

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error("{0}")]
    Finalizer(String),
}

struct Context {
    gardens: Api<DynamicObject>,
    maps: Api<ConfigMap>,
}

fn plants(garden: &DynamicObject) -> BTreeMap<String, String> {
    garden.data["spec"]["plants"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|plant| (plant.to_string(), "planted".to_string()))
        .collect()
}

impl Context {
    async fn keep(&self, name: &str, data: Value, owners: Value) -> Result<(), Failure> {
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "ownerReferences": owners},
            "data": data,
        });
        let params = PatchParams::apply("gardener").force();
        self.maps.patch(name, &params, &Patch::Apply(&body)).await?;
        Ok(())
    }

    async fn tend(&self, garden: Arc<DynamicObject>) -> Result<Action, Failure> {
        let (name, planted) = (garden.name_any(), plants(&garden));
        let owner = json!([{
            "apiVersion": format!("{GROUP}/v1"),
            "kind": "Garden",
            "name": name,
            "uid": garden.uid(),
        }]);
        self.keep(&format!("garden-{name}"), json!(planted), owner).await?;
        let count = planted.len();
        if garden.data["status"]["planted"].as_u64() != Some(count as u64) {
            let patch = json!({"status": {"planted": count}});
            self.gardens
                .patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch))
                .await?;
        }
        Ok(Action::await_change())
    }

    async fn remember(&self, garden: Arc<DynamicObject>) -> Result<Action, Failure> {
        let count = plants(&garden).len().to_string();
        self.keep(&format!("epitaph-{}", garden.name_any()), json!({"plants": count}), json!([]))
            .await?;
        Ok(Action::await_change())
    }
}

async fn reconcile(garden: Arc<DynamicObject>, context: Arc<Context>) -> Result<Action, Failure> {
    let gardens = context.gardens.clone();
    finalizer(&gardens, FINALIZER, garden, |event| async {
        match event {
            Event::Apply(garden) => context.tend(garden).await,
            Event::Cleanup(garden) => context.remember(garden).await,
        }
    })
    .await
    .map_err(|error: FinalizerError<Failure>| Failure::Finalizer(error.to_string()))
}

fn on_error(_: Arc<DynamicObject>, error: &Failure, _: Arc<Context>) -> Action {
    eprintln!("{error}");
    Action::requeue(Duration::from_millis(200))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let namespace = env::args().nth(1).expect("a namespace");
    let client = Client::try_default().await?;
    let kind = GroupVersionKind::gvk(GROUP, "v1", "Garden");
    let resource = ApiResource::from_gvk_with_plural(&kind, "gardens");
    let gardens: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let context = Arc::new(Context { gardens: gardens.clone(), maps: maps.clone() });
    Controller::new_with(gardens, watcher::Config::default(), resource.clone())
        .owns(maps, watcher::Config::default().streaming_lists())
        .shutdown_on_signal()
        .run(reconcile, on_error, context)
        .for_each(|_| std::future::ready(()))
        .await;
    Ok(())
}
