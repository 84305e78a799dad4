//! Queues whose messages are JSON of one type.

use crate::env::USAGE;
use domain::usage::UsageMessage;
use serde::Serialize;
use std::marker::PhantomData;
use wasm_bindgen::JsValue;
use worker::{Env, QueueContentType, RawMessageBuilder};

/// A message as text: one string crosses to JavaScript, while an object would cross field by field.
#[derive(Debug)]
pub struct Packed<T>(String, PhantomData<T>);

impl<T: Serialize> Packed<T> {
    /// Packs a message.
    ///
    /// # Errors
    /// The cause, if the message has no JSON.
    pub fn new(message: &T) -> Result<Self, String> {
        serde_json::to_string(message).map(|text| Self(text, PhantomData)).map_err(|e| e.to_string())
    }

    /// Returns the message's length in bytes, which the platform limits.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

/// A queue that takes messages of one type.
#[derive(Debug)]
pub struct Queue<T>(worker::Queue, PhantomData<T>);

impl<T> Queue<T> {
    /// Opens the queue bound as `binding`.
    ///
    /// # Errors
    /// The cause, if there is no such binding.
    pub fn open(env: &Env, binding: &str) -> Result<Self, String> {
        env.queue(binding).map(|queue| Self(queue, PhantomData)).map_err(|e| e.to_string())
    }

    /// Sends one message.
    ///
    /// # Errors
    /// The cause, if the queue does not accept it.
    pub async fn send(&self, message: &Packed<T>) -> Result<(), String> {
        let text = JsValue::from_str(&message.0);
        let raw = RawMessageBuilder::new(text).build_with_content_type(QueueContentType::Text);
        self.0.send_raw(raw).await.map_err(|e| e.to_string())
    }
}

impl Queue<UsageMessage> {
    /// Opens the queue that carries usage events.
    ///
    /// # Errors
    /// The cause, if there is no such binding.
    pub fn usage(env: &Env) -> Result<Self, String> {
        Self::open(env, USAGE)
    }
}
