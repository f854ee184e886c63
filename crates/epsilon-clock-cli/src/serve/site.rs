//! What is answered to which request.

use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

use std::convert::Infallible;

use super::body::Whole;
use super::page;
use super::watched::Watched;

const TEXT: &str = "text/plain; charset=utf-8";

/// Nothing that the page asks for may come from anywhere else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
                      connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers a request; its body, if it has one, is not read.
pub(super) fn answer<B>(
    request: &Request<B>,
    watched: &Watched,
) -> Result<Response<Whole>, Infallible> {
    let is_head = *request.method() == Method::HEAD;
    let mut response = if *request.method() == Method::GET || is_head {
        found(request.uri().path(), watched)
    } else {
        let told = "there is nothing to change here: GET\n".to_owned();
        let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, told);
        let methods = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(ALLOW, methods);
        refused
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let name: HeaderName = name;
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

fn found(path: &str, watched: &Watched) -> Response<Whole> {
    match path {
        "/" => response(
            StatusCode::OK,
            "text/html; charset=utf-8",
            page::whole(watched),
        ),
        "/page.js" => {
            let script = include_str!("page.js").to_owned();
            response(StatusCode::OK, "text/javascript; charset=utf-8", script)
        }
        "/page.css" => {
            let style = include_str!("page.css").to_owned();
            response(StatusCode::OK, "text/css; charset=utf-8", style)
        }
        "/metrics" => {
            let figures = watched.figures().to_string();
            response(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                figures,
            )
        }
        "/json" => {
            let report = format!("{}\n", watched.report().json());
            response(StatusCode::OK, "application/json", report)
        }
        "/healthz" => match watched.health() {
            Ok(told) => response(StatusCode::OK, TEXT, format!("{told}\n")),
            Err(told) => response(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{told}\n")),
        },
        _ => {
            let told = "there are /, /metrics, /json and /healthz\n".to_owned();
            response(StatusCode::NOT_FOUND, TEXT, told)
        }
    }
}

fn response(status: StatusCode, kind: &'static str, text: String) -> Response<Whole> {
    let mut response = Response::new(Whole::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
