{{/*
The cache that the gateway asks: ours, or one elsewhere, and what that one wants to see, as files of one folder.
*/}}

{{/* Not empty where the gateway is to ask a cache. */}}
{{- define "pipeline.cache.on" -}}
{{- if eq .Values.cache "on" }}
{{- if ne .Values.gateway "on" }}
{{- fail "cache must be on only beside a gateway; got no gateway; set gateway to on" }}
{{- end -}}
on
{{- end }}
{{- end }}

{{/* Not empty where that is our own. */}}
{{- define "pipeline.cache.ours" -}}
{{- if and (include "pipeline.cache.on" .) (eq (urlParse .Values.addresses.cache).hostname "cache") -}}
on
{{- end }}
{{- end }}

{{- define "pipeline.cache.folder" -}}/etc/baton-cache{{- end }}

{{/* What the gateway is told. */}}
{{- define "pipeline.cache.variables" -}}
{{- if include "pipeline.cache.on" . }}
- name: BATON_CACHE
  value: "on"
- name: BATON_CACHE_URL
  value: {{ .Values.addresses.cache }}
{{- with .Values.cacheAccess }}
{{- if .user }}
- name: BATON_CACHE_USER
  value: {{ .user | quote }}
{{- end }}
{{- if .passwordSecret.name }}
- name: BATON_CACHE_PASSWORD_FILE
  value: {{ include "pipeline.cache.folder" $ }}/password
{{- end }}
{{- if .caSecret.name }}
- name: BATON_CACHE_CA
  value: {{ include "pipeline.cache.folder" $ }}/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "pipeline.cache.mount" -}}
{{- if and (include "pipeline.cache.on" .) (or .Values.cacheAccess.passwordSecret.name .Values.cacheAccess.caSecret.name) }}
- name: cache-access
  mountPath: {{ include "pipeline.cache.folder" . }}
  readOnly: true
{{- end }}
{{- end }}

{{- define "pipeline.cache.volume" -}}
{{- if and (include "pipeline.cache.on" .) (or .Values.cacheAccess.passwordSecret.name .Values.cacheAccess.caSecret.name) }}
- name: cache-access
  projected:
    defaultMode: 0440
    sources:
      {{- with .Values.cacheAccess.passwordSecret }}{{ if .name }}
      - secret:
          name: {{ .name }}
          items: [{ key: {{ .key | quote }}, path: password }]
      {{- end }}{{ end }}
      {{- with .Values.cacheAccess.caSecret }}{{ if .name }}
      - secret:
          name: {{ .name }}
          items: [{ key: {{ .key | quote }}, path: ca.crt }]
      {{- end }}{{ end }}
{{- end }}
{{- end }}

{{- define "pipeline.edge.cache" -}}
{{- if include "pipeline.cache.on" . }}
{{- $address := urlParse .Values.addresses.cache }}
- to: # the cache
    {{- if include "pipeline.cache.ours" . }}
    - podSelector:
        matchLabels:
          {{- include "pipeline.selector" (dict "root" . "component" "cache") | nindent 10 }}
    {{- else }}
    {{- include "pipeline.outside" (dict "root" . "name" "cache" "for" .Values.addresses.cache) | nindent 4 }}
    {{- end }}
  ports:
    - port: {{ last (splitList ":" $address.host) }}
{{- end }}
{{- end }}
